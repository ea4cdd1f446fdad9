"""Tries what comes from outside: real files, changed at random, through every reader.

    python tools/fuzz.py [TARGET ...] [--count 100000] [--seed 0] [--jobs 1] [--out FOLDER]

Each input gives a value or one of our errors, within the time and the memory, and nothing is written outside a
folder of its own, started, or fetched. What breaks this is made smaller by `hypothesis` and kept in --out, a folder
a finding, with the traceback. Without targets: all of them, the count divided among them. Exit 1 if anything was found.
"""
import argparse, copy, io, json, os, re, resource, shutil, signal, subprocess, sys, tempfile, time, traceback
import warnings, zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

root = Path(__file__).resolve().parent.parent
targets = {}      # name → (share of the inputs, class)

def target(share):
    "Class decorator: a reader to try, and how much of the whole it gets"
    def keep(cls):
        targets[cls.__name__.lower()] = share, cls
        return cls
    return keep

# What has broken readers before, and what a hostile file would try
odd = [None, True, False, 0, -1, 1, 2, 3, 7, 255, 256, 10_000, 2**31-1, 2**31, 2**32, 2**63, -2**63, 10**18, 10**30,
       10**400, .5, -0., 1e-320, 1e38, 1e308, -1e308, float('nan'), float('inf'), -float('inf'),
       '', ' ', '0', '-1', '1e9', 'None', '\0', 'a\0b', 'a\nb', '\x1b[31mred\x1b]0;x\x07',
       '<script>alert(1)</script>', '&lt;', 'a|b', '\\', '\u202e', '\ud800', '٣', '🎈', 'é', '../x',
       '../../../etc/passwd', '/etc/passwd', '/dev/zero', '/dev/stdin', '..\\x', 'C:\\x', '.', '..', '~',
       'file:///etc/passwd', 'http://127.0.0.1:9/x', 'hub', 'hub:a/b', '${oc.env:HOME}', '${data}', '{0.__class__}',
       '%s%n', 'x'*10_000, '[1,2]', '{a:1}', 'os.system', '__class__',
       [], {}, [[]], [None], [{}], {'': 0}, {'a': {}}, [0]*1000, [[0, 0]]]

def nested(depth, kind):
    out = 0
    for _ in range(depth): out = [out] if kind else {'a': out}
    return out

odd += [nested(60, 0), nested(60, 1), nested(900, 1)]

# --- how an input is changed -----------------------------------------------------------------------------------------

def st():
    from hypothesis import strategies
    return strategies

def pick(data, items):
    "One of a list, the first ones when made smaller"
    return items[data.draw(st().integers(0, len(items)-1))]

def value(data):
    "A value that may be anything, odd ones most often"
    s = st()
    plain = s.one_of(s.integers(), s.floats(), s.text(max_size=8), s.booleans(), s.none())
    def more(o): return s.lists(o, max_size=3) | s.dictionaries(s.text(max_size=4), o, max_size=3)
    deep = s.recursive(plain, more, max_leaves=6)
    return copy.deepcopy(pick(data, odd)) if data.draw(s.integers(0, 3)) else data.draw(deep)

def places(o, path=()):
    "Where values lie in dicts and lists"
    yield path
    items = o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else ()
    for k, v in items: yield from places(v, (*path, k))

def at(o, path):
    for k in path: o = o[k]
    return o

def changed(data, o, most=3):
    "A copy of plain values with up to `most` changes"
    o = json.loads(json.dumps(o))
    for _ in range(data.draw(st().integers(1, most))):
        ways = list(places(o))[1:]
        if not ways: return value(data)
        path = pick(data, ways)
        home, k = at(o, path[:-1]), path[-1]
        how = data.draw(st().integers(0, 5))
        if how<=1: home[k] = value(data)
        elif how==2: del home[k]
        elif how==3: home[k] = json.loads(json.dumps(at(o, pick(data, ways))))      # of another place
        elif how==4 and isinstance(home, list): home.insert(k, home[k])
        elif how==4: home[pick(data, [v for v in odd if isinstance(v, str)])] = home.pop(k)
        else: home[k] = copy.deepcopy(pick(data, [[home[k]], {'a': home[k]}, str(home[k]), [home[k], home[k]]]))
    return o

def damaged(data, b, most=4):
    "Bytes with up to `most` changes, most of them near the beginning"
    b = bytearray(b)
    for _ in range(data.draw(st().integers(1, most))):
        if not b: break
        reach = pick(data, [64, 64, 512, len(b)])
        i, how = data.draw(st().integers(0, min(reach, len(b))-1)), data.draw(st().integers(0, 6))
        if how==0: b[i] ^= 1 << data.draw(st().integers(0, 7))
        elif how==1: b[i] = data.draw(st().integers(0, 255))
        elif how==2: del b[i:]
        elif how==3: del b[i:i+data.draw(st().integers(1, 16))]
        elif how==4: b[i:i] = data.draw(st().binary(max_size=16))
        elif how==5: b[i:i+4] = pick(data, [b'\xff'*4, b'\0'*4, b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f', b'\0\0\0\1'])
        else: b[i:i] = b[data.draw(st().integers(0, len(b)-1)):][:64]
    return bytes(b)

def text_of(o):
    "JSON, whatever is in it"
    return json.dumps(o)

def write(path, o):
    "Bytes, a text, or plain values as JSON"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(o, bytes): o = (o if isinstance(o, str) else text_of(o)).encode('utf-8', 'surrogatepass')
    path.write_bytes(o)

def maybe_damaged(data, o, most=3):
    "Plain values changed; now and then the text of them"
    if data.draw(st().integers(0, 7)): return changed(data, o, most)
    return damaged(data, text_of(o).encode())

# --- the readers -----------------------------------------------------------------------------------------------------

class Target:
    "`setup` makes real files once; `draw` writes changed ones into a folder; `read` is what is tried"
    def __init__(self, base): self.base = base      # a folder for real files
    def setup(self): pass

def small_dataset(folder):
    "A dataset of all that a JSON may hold"
    from sam2_video_nb.data.synth import write_synth
    train, _ = write_synth(folder, videos=2, frames=3, size=32, val_fraction=.5)
    d = json.loads(train.read_text())
    anns, images = d['annotations'], d['images']
    anns[0]['segmentation'] = [[2, 2, 20, 2, 20, 20, 2, 20]]
    anns[1]['segmentation'] = dict(size=[32, 32], counts=[10, 20, 994])
    anns[-1]['iscrowd'] = 1
    for o in images: o.update(is_annotated=True)
    images[-1]['annotated_tracks'] = [a['track_id'] for a in anns if a['image_id']==images[-1]['id']]
    return d

def use_coco(coco):
    "All that a dataset gives"
    for v in coco.videos:
        repr(coco[v]), coco.state(v), coco.size(v)
        for t in range(len(coco.frames[v])): coco.masks(v, t), coco.ignore(v, t)
        coco.image(v, 0)

@target(22)
class Json(Target):
    "A COCO-video JSON: check, open, masks, clips"
    def setup(self):
        self.d = small_dataset(self.base)
        self.json = self.base/'train.json'
    def draw(self, data, folder):
        if not (folder/'frames').exists(): os.symlink(self.base/'frames', folder/'frames')
        write(folder/'train.json', maybe_damaged(data, self.d))
        return dict(files=data.draw(st().booleans()), objects=pick(data, ['auto', 'instance', 'category']))
    def read(self, folder, how):
        from sam2_video_nb.config import DataConf
        from sam2_video_nb.data.check import check
        from sam2_video_nb.data.clips import VideoClips
        from sam2_video_nb.data.coco import CocoVideo
        from sam2_video_nb.data.stats import stats, stats_table
        report = check(folder/'train.json', check_files=how['files'], objects=how['objects'], progress=False)
        str(report), json.dumps(report.to_json())
        coco = CocoVideo(folder/'train.json', objects=how['objects'])
        use_coco(coco)
        stats_table(stats(coco))
        clips = VideoClips(coco, DataConf(image_size=32, video_clip_length=2))
        if len(clips): clips[0]

@target(15)
class Rle(Target):
    "A segmentation by itself"
    def draw(self, data, folder):
        s = st()
        side = s.integers(-1, 40) | s.sampled_from([o for o in odd if type(o) in (int, float)])
        size = data.draw(s.lists(side, min_size=2, max_size=2))
        counts = s.binary(max_size=12).map(lambda b: ''.join(chr(48 + c % 64) for c in b)) | s.text(max_size=6)
        counts |= s.lists(s.integers(-2, 300), max_size=6)
        number = s.floats() | s.integers(-10**6, 10**6) | s.sampled_from([o for o in odd if type(o) in (int, float)])
        polygon = s.lists(number, max_size=12)
        good = [[[2, 2, 20, 2, 20, 20]], dict(size=[32, 32], counts=[10, 20, 994]), dict(size=[32, 32], counts='0PP1')]
        if data.draw(s.booleans()): seg, size = pick(data, good), [32, 32]
        elif data.draw(s.booleans()): seg = dict(size=size, counts=data.draw(counts))
        else: seg = data.draw(s.lists(polygon, max_size=3))
        if not data.draw(s.integers(0, 2)): seg = changed(data, seg)
        write(folder/'rle.json', dict(seg=seg, size=pick(data, [size, [32, 32], None])))
    def read(self, folder, how):
        from sam2_video_nb.core import rle_decode
        o = json.loads((folder/'rle.json').read_text(encoding='utf-8', errors='surrogatepass'))
        size = o['size'] and tuple(v if type(v) is int and 0<v<2**40 else 32 for v in o['size'])
        rle_decode(o['seg'], size)

@cache
def png_of(w, h, bits=8, kind=2):
    "A PNG of nothing: a few bytes that unpack to any size"
    import struct, zlib
    def chunk(name, b): return struct.pack('>I', len(b)) + name + b + struct.pack('>I', zlib.crc32(name+b))
    row = b'\0' + b'\0'*(-(-w*bits*{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]//8))
    z, out = zlib.compressobj(9), b''
    if w*h <= 2*10**8:
        for _ in range(h): out += z.compress(row)
    head = struct.pack('>IIBBBBB', w, h, bits, kind, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', out+z.flush()) + chunk(b'IEND', b'')

@target(14)
class Picture(Target):
    "Pictures of each type, as frames, as masks and as prompts"
    def setup(self):
        import numpy as np
        from PIL import Image
        a = (np.random.default_rng(0).random((24, 32, 3))*255).astype('uint8')
        self.files = {}
        exif = Image.Exif()
        exif[0x0112] = 6
        kinds = dict(png=a, jpg=a, webp=a, bmp=a, tif=a, gif=a[..., 0], ppm=a, tga=a) | {
            'grey.png': a[..., 0], '16.png': a[..., 0].astype('uint16')*200, 'a.png': np.dstack([a, a[..., :1]])}
        names = dict(jpg='JPEG', tif='TIFF')
        for ext, pixels in kinds.items():
            b, kind, im = io.BytesIO(), ext.split('.')[-1], Image.fromarray(pixels)
            if ext=='grey.png': im = im.convert('P')
            im.save(b, names.get(kind, kind.upper()), **(dict(exif=exif) if ext in ('jpg', 'webp') else {}))
            self.files[ext] = b.getvalue()
        for n, (w, h, kind) in enumerate([(13_000, 13_000, 2), (9_990, 9_990, 6), (60_000, 60_000, 0)]):
            self.files[f'bomb{n}.png'] = png_of(w, h, kind=kind)
    def draw(self, data, folder):
        name = pick(data, list(self.files))
        as_it_is = name.startswith('bomb') and not data.draw(st().integers(0, 5))
        write(folder/'000.png', self.files[name] if as_it_is else damaged(data, self.files[name]))
        return name.startswith('bomb')
    def read(self, folder, how):
        from sam2_video_nb.core import PromptError, read_image
        from sam2_video_nb.data.convert import read_mask
        from sam2_video_nb.data.video import open_frames
        from sam2_video_nb.track.predict import one_prompt
        if how: return read_image(folder/'000.png')
        each(lambda: read_image(folder/'000.png'), lambda: read_mask(folder/'000.png'),
            lambda: list(open_frames(folder)), lambda: one_prompt(dict(mask='000.png'), 'x', folder, (24, 32)))

@target(1)
class Masks(Target):
    "Masks as large as a picture may be, and beyond: RLEs, polygons, PNGs; as they are and as prompts"
    sides = 1, 24, 1000, 4000, 9_990, 10_000, 10_001, 60_000, 10**8, 10**9
    def setup(self):
        from sam2_video_nb.core import rle_encode
        import torch
        self.packed = rle_encode(torch.eye(24, dtype=torch.bool))
    def draw(self, data, folder):
        s = st()
        h, w = pick(data, self.sides), pick(data, self.sides)
        n, parts = h*w, data.draw(s.integers(1, 40))
        runs = [n//parts]*(parts-1)
        seg = pick(data, [dict(size=[h, w], counts=[*runs, n-sum(runs)]), dict(size=[h, w], counts=[0, n]),
            [[0, 0, w, 0, w, h, 0, h]], [[0, 0, w, 0, w, h]]*parts, dict(self.packed, size=[h, w]), self.packed])
        if not data.draw(s.integers(0, 2)): seg = changed(data, seg)
        write(folder/'rle.json', seg)
        png = png_of(min(w, 60_000), min(h, 60_000), pick(data, [1, 8, 16]), 0) if h*w <= 2*10**8 else png_of(w, 1)
        write(folder/'m.png', damaged(data, png) if not data.draw(s.integers(0, 3)) else png)
        return dict(size=pick(data, [(h, w), (24, 32)]))
    def read(self, folder, how):
        from sam2_video_nb.core import rle_decode
        from sam2_video_nb.data.convert import read_mask
        from sam2_video_nb.track.predict import one_prompt
        seg, size = json.loads((folder/'rle.json').read_text()), how['size']
        if size[0]*size[1] > 10**8: size = None              # no picture is of that size
        each(lambda: rle_decode(seg, size), lambda: read_mask(folder/'m.png'))
        if size: each(lambda: one_prompt(dict(mask=seg), 'x', folder, size),
            lambda: one_prompt(dict(mask='m.png'), 'x', folder, size))

def each(*functions):
    "Call all; what is no error of ours is raised at once, of ours the last one at the end"
    from sam2_video_nb.config import Sam2VideoError
    refused = None
    for f in functions:
        try: f()
        except Sam2VideoError as e: refused = e
    if refused: raise refused

@target(8)
class Prompts(Target):
    "A JSON of prompts, with masks beside it"
    def setup(self):
        import numpy as np
        from PIL import Image
        from sam2_video_nb.core import rle_encode
        m = np.zeros((24, 32), bool)
        m[4:12, 5:20] = True
        for i in range(4): write(self.base/f'frames/{i:03}.png', png_of(32, 24))
        Image.fromarray(m).save(self.base/'m.png')
        self.d = dict(objects=[dict(id=1, frame=0, points=[[5, 6], [7, 8]], labels=[1, 0], name='a'),
            dict(id='b', frame='001', box=[1, 2, 20, 21]), dict(id=3, frame=2, mask='m.png'),
            dict(id=4, frame=3, mask=rle_encode(m)), dict(id=5, points=[[1, 1]])])
    def draw(self, data, folder):
        write(folder/'prompts.json', maybe_damaged(data, self.d))
        shutil.copyfile(self.base/'m.png', folder/'m.png')
    def read(self, folder, how):
        from sam2_video_nb.data.video import open_frames
        from sam2_video_nb.track.predict import file_prompts
        file_prompts(folder/'prompts.json', open_frames(self.base/'frames'))

@target(9)
class Checkpoint(Target):
    "Checkpoints, safetensors and deltas; models built from what they say"
    def setup(self):
        import torch
        from sam2_video_nb.model.sam2 import model_settings
        from sam2_video_nb.model.weights import write_checkpoint, write_delta, write_weights
        self.settings = model_settings('nano')
        self.about = dict(model=self.settings, image_size=32, start=None, start_hash=None, seed=0, chosen_on=['a'],
            result=dict(JF=.5), before=None, prompts=dict(prompt_type='mask'), place=dict(epoch=1, step=2))
        self.few = {'memory_encoder.a': torch.zeros(2, 3), 'no_mem_embed': torch.ones(1)}
        write_checkpoint(self.base/'few.ckpt', dict(state_dict=self.few, sam2_video_nb=self.about, epoch=1,
            global_step=2, optimizer_states=[dict(state={}, param_groups=[])]))
        torch.save(dict(model=self.few), self.base/'few.pt')
        torch.save(self.few, self.base/'old.pt', _use_new_zipfile_serialization=False)
        write_weights(self.base/'few.safetensors', self.few, self.about)
        write_weights(self.base/'base.safetensors', self.few, self.about)
        trained, about = dict(self.few, no_mem_embed=torch.zeros(1)), dict(self.about, model='nano')
        write_delta(self.base/'delta.safetensors', trained, self.few, 'base.safetensors', about)
    def draw(self, data, folder):
        from sam2_video_nb.model.weights import weights_hash
        import torch
        name = pick(data, ['few.ckpt', 'few.pt', 'old.pt', 'few.safetensors', 'delta.safetensors', 'about.ckpt',
            'about.safetensors', 'about.delta', 'model.ckpt'])
        shutil.copyfile(self.base/'base.safetensors', folder/'base.safetensors')
        if not name.startswith(('about', 'model')):
            file, b = folder/name, (self.base/name).read_bytes()
            write(file, damaged(data, b))
            return dict(file=file)
        about = changed(data, self.about)
        if name=='about.ckpt':
            torch.save(dict(changed_tensors(data, self.few), sam2_video_nb=about), folder/name)
        elif name=='model.ckpt':         # settings that build something else
            settings = changed(data, self.settings, 2)
            torch.save(dict(state_dict=self.few, sam2_video_nb=dict(self.about, model=settings)), folder/name)
        else:
            from safetensors.torch import save_file
            if name=='about.delta':
                own = dict(model='nano', base='base.safetensors', base_hash=weights_hash(self.few))
                about = changed(data, self.about | own)
                name = 'about.safetensors'
            save_file(self.few, folder/name, dict(sam2_video_nb=text_of(about)))
        return dict(file=folder/name, build=True)
    def read(self, folder, how):
        from sam2_video_nb.model.prompts import prompts_of, seen_prompts
        from sam2_video_nb.model.sam2 import build_sam2, default_size, portable
        from sam2_video_nb.model.weights import read_checkpoint, read_optimizer, read_start
        if not how.get('build'): each(lambda: read_optimizer(how['file']), lambda: read_checkpoint(how['file']))
        start = read_start(how['file'])
        if not how.get('build'): return
        prompts_of(start.about), seen_prompts(start.about), portable(start.name)
        build_sam2(start.name, min(start.image_size or default_size(start.name), 64), weights=start.weights)

def changed_tensors(data, weights):
    "A checkpoint's tensors, some of another kind"
    import torch
    kinds = [torch.zeros(2, 3), torch.zeros(0), torch.tensor(3), torch.ones(2, dtype=torch.complex64),
        torch.zeros(2).half(), torch.zeros(2).to(torch.float8_e5m2), torch.zeros(1).expand(10**9),
        torch.eye(2).to_sparse(), torch.zeros(2, device='meta'), 1, None, 'a', [], {}]
    out = dict(weights)
    for _ in range(data.draw(st().integers(0, 2))):
        out[pick(data, [*out, 'epoch', 'a.b', 3, ''])] = pick(data, kinds)
    return {pick(data, ['model', 'state_dict', 'weights']): out} if data.draw(st().booleans()) else out

def lines_changed(data, text):
    "Lines of a text changed, moved, taken away"
    lines = text.splitlines()
    bits = ['a: &x [1]', 'b: *x', '<<: *x', '- '*30, '? a', '!!python/object/apply:os.system [x]', '${oc.env:HOME}',
        '${data}', 'a: ${a}', '\t', ':', '"', "'", '%YAML 9.9', '---', '...', '[', '{', '|', '>', '@', '\x1b', '\0',
        '\ufeff', 'a: 1e999', 'x: .nan', 'a: 0x'+'f'*5000, '['*32, 'defaults: [x]', 'defaults: null',
        'hydra: {run: {dir: /x}}', '_target_: os.system']
    for _ in range(data.draw(st().integers(1, 3))):
        if not lines: break
        i, how = data.draw(st().integers(0, len(lines)-1)), data.draw(st().integers(0, 5))
        if how==0: del lines[i]
        elif how==1: lines.insert(i, pick(data, bits))
        elif how==2 and ':' in lines[i]: lines[i] = lines[i].split(':')[0] + ': ' + str(value(data))[:300]
        elif how==3: lines[i] = ' '*data.draw(st().integers(0, 6)) + lines[i].strip()
        elif how==4: lines[i] += pick(data, bits)
        else: lines.insert(i, lines[data.draw(st().integers(0, len(lines)-1))])
    return '\n'.join(lines)

@target(5)
class Yaml(Target):
    "config.yaml of a run, and the YAML of a model"
    def setup(self):
        from sam2_video_nb.config import TrainConf, configs
        from sam2_video_nb.run import save_cfg
        save_cfg(TrainConf(), self.base/'config.yaml')
        self.run, self.model = (self.base/'config.yaml').read_text(), (configs()/'nano.yaml').read_text()
    def draw(self, data, folder):
        of = pick(data, ['run', 'model'])
        text = lines_changed(data, getattr(self, of))
        if not data.draw(st().integers(0, 7)): text = damaged(data, text.encode('utf-8', 'replace'))
        write(folder/f'{of}.yaml', text)
        return dict(of=of, compose=not data.draw(st().integers(0, 5)))
    def read(self, folder, how):
        from sam2_video_nb.config import load_cfg, read_cfg, saved_settings
        from sam2_video_nb.model.sam2 import model_config
        path = folder/f"{how['of']}.yaml"
        each(lambda: saved_settings(path))
        if how['of']=='model': return model_config(path)
        each(lambda: read_cfg(path), lambda: how['compose'] and load_cfg([], name='run', folder=folder))

@target(3)
class Overrides(Target):
    "key=value, as typed"
    def setup(self):
        from sam2_video_nb.config import config_keys
        self.keys = [k for k, _ in config_keys()]
    def draw(self, data, folder):
        others = ['recipe', 'hydra.run.dir', 'a.b', 'hydra/launcher', 'data', 'optimizer.extra.a', '_target_', '']
        key = pick(data, [*self.keys, *others])
        sign = pick(data, ['', '', '', '+', '++', '~'])
        v = value(data)
        signs = data.draw(st().text('[]{}(),:=${}\'"\\ab1.-~', max_size=12))
        text = pick(data, [str(v)[:400], text_of(v)[:400], signs])
        write(folder/'override.txt', f'{sign}{key}={text}' if data.draw(st().integers(0, 9)) else text)
        return dict(command=pick(data, [None, 'train', 'eval', 'predict']))
    def read(self, folder, how):
        from sam2_video_nb.config import composed, load_cfg
        text = (folder/'override.txt').read_bytes().decode('utf-8', 'surrogatepass')
        each(lambda: load_cfg([text], command=how['command']), lambda: composed([text], 'train', sweep=True))

@target(5)
class Video(Target):
    "Video files"
    def setup(self):
        import av, numpy as np
        self.files = {}
        kinds = 'libx264.mp4 mpeg4.mp4 libx264.mkv mpeg4.avi libvpx.webm mjpeg.mov'.split()
        for codec, ext in (k.split('.') for k in kinds):
            path = self.base/f'{codec}.{ext}'
            with av.open(str(path), 'w') as f:
                s = f.add_stream(codec, rate=10)
                s.width, s.height, s.pix_fmt = 64, 48, 'yuvj420p' if codec=='mjpeg' else 'yuv420p'
                for i in range(6):
                    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i*40, np.uint8), format='rgb24')
                    for p in s.encode(frame): f.mux(p)
                for p in s.encode(): f.mux(p)
            self.files[path.name] = path.read_bytes()
    def draw(self, data, folder):
        name = pick(data, list(self.files))
        write(folder/f'v.{name.split(".")[-1]}', damaged(data, self.files[name]))
    def read(self, folder, how):
        from itertools import islice
        from sam2_video_nb.data.video import open_frames
        film = open_frames(next(folder.iterdir()))
        for im in islice(film, 12): im.load()
        film.size
        next(iter(film.range(len(film)-1, -1, -1)), None)

@target(4)
class Npz(Target):
    "Volumes"
    def draw(self, data, folder):
        import numpy as np
        kinds = ['uint8', 'uint16', 'int16', 'float32', 'float64', 'bool', 'complex64', 'U3', 'O', 'int64', 'M8[s]',
            'V4']
        sides = [(3, 8, 9), (3, 8, 9, 3), (1, 1, 1), (0, 8, 9), (3, 8), (3, 8, 9, 4), (2, 3, 8, 9)]
        def array(kind):
            a = np.zeros(pick(data, sides), kind) if data.draw(st().booleans()) else np.ones(sides[0]).astype(kind)
            if kind.startswith('float') and a.size: a.flat[0] = pick(data, [float('nan'), float('inf'), 1e38, 0])
            return a
        if not data.draw(st().integers(0, 60)):          # a few hundred kB that unpack to hundreds of MB
            np.savez_compressed(folder/'v.npz', imgs=np.zeros((pick(data, [2, 60, 70, 400]), 1024, 1024), np.uint8))
            return
        names = ['imgs', 'imgs', 'gts', 'spacing', '../x', '']
        arrays = {pick(data, names): array(pick(data, kinds)) for _ in range(3)}
        good = dict(imgs=np.zeros(sides[0], np.uint8), gts=np.ones(sides[0], np.uint8))
        if data.draw(st().booleans()): arrays = good | arrays
        b = io.BytesIO()
        with zipfile.ZipFile(b, 'w', pick(data, [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as z:
            for name, a in arrays.items():
                one = io.BytesIO()
                np.save(one, a, allow_pickle=True)
                one = one.getvalue()
                z.writestr(name+'.npy', damaged(data, one, 2) if not data.draw(st().integers(0, 3)) else one)
        write(folder/'v.npz', damaged(data, b.getvalue()) if data.draw(st().booleans()) else b.getvalue())
    def read(self, folder, how):
        from sam2_video_nb.data.formats import back_npz, convert_npz
        convert_npz(folder/'v.npz', folder/'out', progress=False)
        back_npz(folder/'out/train.json', folder/'back', progress=False)

@target(4)
class Tiff(Target):
    "TIFF stacks, and cells of the Cell Tracking Challenge"
    def setup(self):
        import numpy as np
        from PIL import Image
        def stack(kind, n=3, scale=1):
            pages = [Image.fromarray((np.arange(96).reshape(8, 12)*scale+i).astype(kind)) for i in range(n)]
            b = io.BytesIO()
            pages[0].save(b, 'TIFF', save_all=True, append_images=pages[1:])
            return b.getvalue()
        self.imgs = [stack('uint8'), stack('uint16', scale=300), stack('float32'), stack('int32')]
        self.labels = [stack('uint16'), stack('uint8')]
    def draw(self, data, folder):
        imgs, labels = pick(data, self.imgs), pick(data, self.labels)
        which = data.draw(st().integers(0, 2))
        if which!=1: imgs = damaged(data, imgs)
        if which!=0: labels = damaged(data, labels)
        ctc = not data.draw(st().integers(0, 2))
        files = ('01/t000.tif', '01_GT/TRA/man_track000.tif') if ctc else ('i.tif', 'l.tif')
        for file, b in zip(files, (imgs, labels)): write(folder/file, b)
        return dict(ctc=ctc)
    def read(self, folder, how):
        from sam2_video_nb.data.formats import convert_ctc, convert_tiff
        if how['ctc']: convert_ctc(folder, folder/'out', progress=False)
        else: convert_tiff(folder/'i.tif', folder/'l.tif', folder/'out', progress=False)

@target(6)
class Formats(Target):
    "JSONs of other datasets and of annotation tools"
    def setup(self):
        from sam2_video_nb.data.formats import back_sav, back_ytvis
        from sam2_video_nb.data.convert import back_davis
        d = small_dataset(self.base)
        train = self.base/'train.json'
        back_ytvis(train, self.base/'ytvis', progress=False)
        back_davis(train, self.base/'davis', progress=False)
        back_sav(train, self.base/'sav', every=1, progress=False)
        self.ytvis = json.loads((self.base/'ytvis/instances.json').read_text())
        self.sav_file = next((self.base/'sav').glob('*_manual.json'))
        self.sav = json.loads(self.sav_file.read_text())
        self.tool = json.loads(train.read_text())
        self.meta = dict(videos={p.name: dict(objects={'1': dict(category='a'), '2': dict(category='b')})
            for p in (self.base/'davis/JPEGImages').iterdir()})
    def draw(self, data, folder):
        of = pick(data, ['ytvis', 'sav', 'tool', 'davis'])
        if of=='ytvis':
            os.symlink(self.base/'ytvis/JPEGImages', folder/'JPEGImages')
            write(folder/'instances.json', maybe_damaged(data, self.ytvis))
        elif of=='sav':
            film = self.sav_file.stem.removesuffix('_manual')+'.mp4'
            shutil.copyfile(self.sav_file.with_name(film), folder/'v.mp4')
            write(folder/'v_manual.json', maybe_damaged(data, self.sav))
        elif of=='tool':
            os.symlink(self.base/'frames', folder/'frames')
            write(folder/'train.json', maybe_damaged(data, self.tool))
        else:
            for kind in ('JPEGImages', 'Annotations'): os.symlink(self.base/'davis'/kind, folder/kind)
            write(folder/'meta.json', maybe_damaged(data, self.meta))
        tracks, crowd = pick(data, [None, 'iou', 'category', 'single']), pick(data, ['object', 'ignore'])
        return dict(of=of, tracks=tracks, crowd=crowd)
    def read(self, folder, how):
        from sam2_video_nb.data.convert import convert_davis
        from sam2_video_nb.data.formats import convert_coco, convert_sav, convert_ytvis
        of, out, quiet = how['of'], folder/'out', dict(progress=False)
        if of=='ytvis': convert_ytvis(folder/'instances.json', out, crowd=how['crowd'], **quiet)
        elif of=='sav': convert_sav(folder, out, every=1, **quiet)
        elif of=='tool':
            convert_coco(folder/'train.json', out, tracks=how['tracks'], crowd=how['crowd'], stills=True, **quiet)
        else: convert_davis(folder, out, **quiet)

@target(5)
class Run(Target):
    "Run folders: page, status, metrics, panel, model card, jobs of a sweep"
    def setup(self):
        from sam2_video_nb.config import TrainConf
        from sam2_video_nb.run import save_cfg
        save_cfg(TrainConf(), self.base/'config.yaml')
        there = dict(JF_davis=.5, presence_f1=.9, absent=3, false_positives=1)
        scores = dict(JF=.5, J=.5, F=.5, dice=.6, iou=.5, objects=2, frames=3, **there)
        one = [dict(video='v', obj=1, cat='a', frames=3, JF=.5, J=.5, F=.5, dice=.6, iou=.5, **there),
               dict(video='w', obj=2, cat='a', frames=3, JF=.5, J=.5, F=.5, dice=.6, iou=.5)]
        parts = dict(per_category={'a': scores}, per_video={'v': scores, 'w': scores}, unscored=[])
        part = dict(scores, per_object=one, **parts)
        data = dict(path='/x/train.json', videos=2, frames=6, objects=2, categories=['a'])
        self.parts = {
            'metrics.json': dict(split='val', before=part, after=part,
                difference=dict(JF=0., low=-.1, high=.1, objects=2, videos=2),
                data=dict(train=data, val=data), steps=3, epochs=1, end=dict(why='x', steps=3, epochs=1),
                best=dict(epoch=1), chosen=dict(videos=2, validations=3), remarks=['x'], noise={'0': .5, '0.1': .4}),
            'status.json': dict(state='finished', pid=1, host='x', start=1., time=2., step=3, steps=4, epoch=1,
                epochs=2, loss=.5, losses=dict(focal=.1), lr=1e-4, error='', memory=10**9, left=3., before=.5),
            'environment.json': dict(python='3', torch='2'),
            'job.json': dict(given={'seed': '1'}, JF=.5, error='')}
        self.csv = 'epoch,step,train/loss,val/JF,lr-a\n0,0,1.5,,1e-4\n0,1,1.25,,1e-4\n0,1,,0.5,\n'
    def draw(self, data, folder):
        which = pick(data, [*self.parts, 'metrics.csv', 'config.yaml'])
        shutil.copyfile(self.base/'config.yaml', folder/'config.yaml')
        write(folder/'metrics.csv', damaged(data, self.csv.encode()) if which=='metrics.csv' else self.csv)
        if which=='config.yaml': write(folder/which, lines_changed(data, (self.base/which).read_text()))
        for name, o in self.parts.items(): write(folder/name, maybe_damaged(data, o) if which==name else o)
        return dict(json=which.endswith('.json') and which!='job.json')
    def read(self, folder, how):
        from sam2_video_nb.config import saved_settings
        from sam2_video_nb.panels.live import live_curves, status_html
        from sam2_video_nb.run import read_status
        from sam2_video_nb.train.export import Source
        from sam2_video_nb.train.report import report_html
        from sam2_video_nb.train.sweep import read_jobs, sweep_table
        src = Source(folder/'checkpoints/best.ckpt', folder)
        each(lambda: report_html(folder), lambda: read_status(folder), lambda: sweep_table(read_jobs(folder)),
            lambda: src.card(dict(model='nano', image_size=128), ['model.pt']),
            lambda: status_html(folder), lambda: live_curves(folder))

@target(2)
class Debug(Target):
    "The batch of a step that went wrong, as a run writes it down"
    def setup(self):
        import torch
        from dataclasses import asdict
        from sam2_video_nb.config import DataConf, LossConf, PromptConf
        from sam2_video_nb.data.clips import VideoClips, collate
        from sam2_video_nb.data.coco import CocoVideo
        from sam2_video_nb.model.prompts import PromptPolicy
        from sam2_video_nb.config import ModelConf
        from sam2_video_nb.train.module import BadBatch, plain_batch, step_settings
        small_dataset(self.base)
        clips = VideoClips(CocoVideo(self.base/'train.json'), DataConf(image_size=32, video_clip_length=2))
        batch, states = collate([clips[0]]), dict(cpu=torch.get_rng_state(), cuda=[])
        model = {k: getattr(ModelConf(trainable_modules=['memory_encoder']), k) for k in step_settings}
        def written(conf):
            prompts = PromptPolicy(conf, train=True).for_batch(batch, torch.Generator().manual_seed(0))
            bad = BadBatch('the loss is not finite', batch, prompts, states, 3)
            settings = dict(loss=asdict(LossConf()), prompts=asdict(conf), precision='32-true', model=model)
            return plain_batch(bad) | dict(settings=settings)
        self.bases = [written(PromptConf(**kw)) for kw in ({}, dict(preset='reference'))]
    def draw(self, data, folder):
        import torch
        d = copy.deepcopy(pick(data, self.bases))
        kinds = [torch.zeros(2, 3), torch.tensor(3), torch.zeros(1).expand(10**9), torch.eye(2).to_sparse(), 'tensor']
        for _ in range(data.draw(st().integers(1, 2))):
            path = pick(data, list(places(d))[1:])
            home, k = at(d, path[:-1]), path[-1]
            how = data.draw(st().integers(0, 3))
            if how==0: home[k] = copy.deepcopy(pick(data, kinds))
            elif how==1: del home[k]
            elif how==2 and isinstance(home[k], torch.Tensor) and home[k].ndim and not home[k].is_sparse:
                home[k] = home[k][:data.draw(st().integers(0, 1))]
            else: home[k] = value(data)
        about = dict(model='nano', image_size=32)
        torch.save(dict(state_dict={'a.b': torch.zeros(1)}, sam2_video_nb=about, debug=d), folder/'step.ckpt')
    def read(self, folder, how):
        from sam2_video_nb.train.debug import read_bad
        read_bad(folder/'step.ckpt')

# --- the watch -------------------------------------------------------------------------------------------------------

class Wrong(Exception): "An input did what none may do"
class TooLong(BaseException): "More time than allowed: no reader catches it"

class Watch:
    "What a reader does while it is tried: files opened for writing outside, programs, the network, pickles"
    def __init__(self, scratch, seconds, most):
        self.scratch, self.seconds, self.most, self.on, self.seen = os.path.realpath(scratch), seconds, most, False, []
        sys.addaudithook(self.hook)
        signal.signal(signal.SIGPROF, self.alarm)
        signal.signal(signal.SIGALRM, self.alarm)
    def alarm(self, *_):
        raise TooLong(f'more than {self.seconds} s')
    def inside(self, path):
        if isinstance(path, int): return True
        path = os.path.realpath(os.fsdecode(path))
        return path.startswith(self.scratch+os.sep) or path in (self.scratch, os.devnull)
    def hook(self, event, args):
        if not self.on: return
        if event=='open':
            path, mode, flags = args
            writes = flags & (os.O_WRONLY|os.O_RDWR|os.O_CREAT|os.O_TRUNC|os.O_APPEND) if isinstance(flags, int) else 0
            if not writes or path is None or self.inside(path): return
        elif event in ('os.mkdir', 'os.remove', 'os.rmdir', 'os.truncate', 'os.chmod', 'shutil.rmtree'):
            if self.inside(args[0]): return
        elif event in ('os.rename', 'os.link', 'os.symlink'):
            if self.inside(args[1]): return
        elif event=='ctypes.dlopen':
            path = str(args[0])
            if not os.path.isabs(path) or path.startswith((sys.prefix, os.path.realpath(sys.prefix))): return
        elif not event.startswith(('subprocess.', 'os.system', 'os.exec', 'os.posix_spawn', 'os.fork', 'os.startfile',
                'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.bind', 'pickle.find_class',
                'urllib.Request', 'webbrowser.')): return
        self.seen.append(f'{event} {str(args)[:200]}')
    @contextmanager
    def reading(self, imports=False):
        "Watch what is done inside; not the first time, when modules are imported"
        self.seen = []
        with open('/proc/self/clear_refs', 'w') as f: f.write('5')       # the peak begins anew
        before = peak()
        self.on = not imports
        signal.setitimer(signal.ITIMER_PROF, self.seconds*(10 if imports else 1))
        signal.setitimer(signal.ITIMER_REAL, self.seconds*60)            # others may use this machine too
        try: yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.on = False
            self.more = 0 if imports else peak()-before

def peak():
    "The most memory that this process held, bytes"
    text = Path('/proc/self/status').read_text()
    return int(re.search(r'VmHWM:\s+(\d+)', text)[1])*1024

def place_of(e):
    "Where an exception comes from: its type, our last line and the very last"
    frames = traceback.extract_tb(e.__traceback__)
    ours = [f for f in frames if '/sam2_video_nb/' in f.filename and '/tools/' not in f.filename]
    def name(f): return f'{Path(f.filename).stem}.{f.name}'
    return ' '.join([type(e).__name__, name(ours[-1]) if ours else '-', name(frames[-1])])

class Trial:
    "One target, tried"
    def __init__(self, name, args):
        self.name, self.args, self.tried, self.values, self.refused = name, args, 0, 0, 0
        self.scratch = Path(tempfile.mkdtemp(prefix='fuzz_'))
        os.chdir(self.scratch)
        self.cases, self.known = self.scratch/'case', set()
        (self.scratch/'base').mkdir()
        self.target = targets[name][1](self.scratch/'base')
        with quiet(): self.target.setup()
        self.watch = Watch(tempfile.gettempdir(), args.seconds, args.gigabytes*2**30)
    def once(self, data):
        "One input; raises `Wrong`, or what the reader raised"
        from sam2_video_nb.config import Sam2VideoError
        shutil.rmtree(self.cases, ignore_errors=True)
        self.cases.mkdir()
        how = self.target.draw(data, self.cases)
        self.tried += 1
        found, outside = None, listing(self.scratch)
        try:
            with quiet(), self.watch.reading(self.tried <= 5): self.target.read(self.cases, how)
            self.values += 1
        except Sam2VideoError as e:
            self.refused += 1
            if not is_clear(str(e)): found = Wrong(f'no clear line: {str(e)[:300]!r}'), f'line {place_of(e)}'
        except TooLong as e: found = e, f'slow {place_of(e)}'
        except Exception as e: found = e, place_of(e)
        if self.watch.more > self.watch.most: found = Wrong(f'{self.watch.more/2**30:.2f} GiB more'), 'memory'
        if self.watch.seen: found = Wrong('; '.join(self.watch.seen[:5])), f'event {self.watch.seen[0].split()[0]}'
        if listing(self.scratch)!=outside: found = Wrong('the folder around the input was changed'), 'outside'
        if found: self.note(*found, how)
    def note(self, e, sign, how):
        "Keep an input; raise the first time, so that it is made smaller"
        folder = self.args.out/f"{self.name} {re.sub('[^A-Za-z0-9_. -]', '', sign)}"[:120]
        if sign in self.known: return
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.cases, folder, symlinks=True)
        text = ''.join(traceback.format_exception(e))
        (folder/'error.txt').write_text(f'{sign}\n{how}\n{text}', encoding='utf-8', errors='replace')
        self.last = sign
        if isinstance(e, TooLong) or sign=='memory':       # too dear to make smaller
            self.known.add(sign)
            return say(dict(found=sign, kept=str(folder)))
        raise e
    def run(self):
        from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings, strategies
        round = 0
        while self.tried < self.args.count:
            left, round, self.last = self.args.count-self.tried, round+1, None
            done = self.tried
            @seed(self.args.seed*1000+round)
            @settings(max_examples=left, database=None, deadline=None, suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink], verbosity=Verbosity.quiet, report_multiple_bugs=False)
            @given(strategies.data())
            def test(data):
                self.once(data)
                if self.tried % 500==0: say(dict(tried=self.tried))
            try: test()
            except KeyboardInterrupt: raise
            except BaseException as e:
                if self.last is None: raise
                self.known.add(self.last)
                say(dict(found=self.last, kept=str(self.args.out)))
            if self.tried==done: break                             # nothing new can be drawn
        if self.tried >= 500 and not self.values:
            say(dict(found='no input was read: what is changed must be valid', kept='none'))
        shutil.rmtree(self.scratch, ignore_errors=True)
        say(dict(target=self.name, tried=self.tried, values=self.values, refused=self.refused, done=True))

def is_clear(text):
    "One line that a terminal shows as it is, not too long"
    return 0 < len(text) < 4000 and not re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f]', text)

def listing(folder):
    "What lies around the input: names, sizes, times"
    return [(p.name, s.st_size, s.st_mtime_ns) for p in sorted(folder.iterdir()) if p.name!='case' for s in [p.lstat()]]

@contextmanager
def quiet():
    "Readers print and warn: not here"
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter('ignore')
        yield

def say(o):
    sys.__stdout__.write(json.dumps(o)+'\n')
    sys.__stdout__.flush()

def worker(name, args):
    "Try one target in this process"
    import logging, matplotlib.font_manager, torch           # matplotlib looks for fonts: not while it is watched
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    now = int(Path('/proc/self/statm').read_text().split()[0])*os.sysconf('SC_PAGE_SIZE')
    resource.setrlimit(resource.RLIMIT_AS, (now + 24*2**30,)*2)          # the machine lives on, whatever is read
    Trial(name, args).run()

# --- the parent ------------------------------------------------------------------------------------------------------

def supervised(name, count, args):
    "Try a target in a process of its own; one that dies or is stuck has found something"
    out, start = dict(target=name, tried=0, values=0, refused=0, found=[]), time.time()
    for turn in range(20):
        left = count-out['tried']
        if left <= 0: break
        command = [sys.executable, __file__, name, '--worker', '--count', str(left), '--seed', str(args.seed+7*turn),
            '--out', str(args.out), '--seconds', str(args.seconds), '--gigabytes', str(args.gigabytes)]
        tmp = tempfile.mkdtemp(prefix='fuzz_')
        env = dict(os.environ, TMPDIR=tmp, MPLCONFIGDIR=tmp, PYTHONPATH=str(root), OMP_NUM_THREADS='1',
            HYPOTHESIS_STORAGE_DIRECTORY=f'{tmp}/hypothesis')
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        last, tried = {}, 0
        for line in p.stdout:
            last = json.loads(line)
            if 'found' in last:
                out['found'].append(f"{name}: {last['found']}")
                print(f"  found: {out['found'][-1]}", flush=True)
            tried = last.get('tried', tried)
        error, code = p.stderr.read(), p.wait()
        out['tried'] += tried
        for k in ('values', 'refused'): out[k] += last.get(k, 0)
        if not last.get('done'):
            case = next(Path(tmp).glob('fuzz_*/case'), None)
            kept = args.out/f'{name} died {turn}'
            shutil.rmtree(kept, ignore_errors=True)
            if case: shutil.copytree(case, kept, symlinks=True)
            last_line = (error.strip().splitlines() or [''])[-1][:300]
            out['found'].append(f"{name}: the process ended with {code}: {last_line}")
            print(f"  found: {out['found'][-1]}", flush=True)
        shutil.rmtree(tmp, ignore_errors=True)
        if last.get('done') or not tried: break
    print(f"{name}: {out['tried']} inputs, {out['values']} values, {out['refused']} errors of ours, "
        f"{len(out['found'])} found, {time.time()-start:.0f} s", flush=True)
    return out

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('targets', nargs='*', help=f'of {", ".join(targets)}; all if none is named')
    p.add_argument('--count', type=int, default=100_000, help='inputs in all')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--jobs', type=int, default=1, help='targets tried at the same time')
    p.add_argument('--out', type=Path, default=Path('fuzz_found'), help='folder for what was found')
    p.add_argument('--seconds', type=float, default=5, help='most time of an input')
    p.add_argument('--gigabytes', type=float, default=1, help='most memory of an input')
    p.add_argument('--worker', action='store_true', help=argparse.SUPPRESS)
    args = p.parse_args()
    args.out = args.out.absolute()
    names = args.targets or list(targets)
    if unknown := [n for n in names if n not in targets]:
        p.error(f'no target {unknown[0]!r}: choose from {", ".join(targets)}')
    if args.worker: return worker(names[0], args)
    whole = sum(targets[n][0] for n in names)
    def one(n): return supervised(n, max(1, round(args.count*targets[n][0]/whole)), args)
    with ThreadPoolExecutor(args.jobs) as pool: done = list(pool.map(one, names))
    found = [f for r in done for f in r['found']]
    for f in found: print(f)
    print(f"{sum(r['tried'] for r in done)} inputs, {len(found)} found" + (f', see {args.out}' if found else ''))
    return int(bool(found))

if __name__=='__main__': sys.exit(main())
