"""What a large dataset costs before a run trains: time and memory of checking, opening, listing clips, and loading.

    python benchmarks/load.py [--images 100000] [--objects 5] [--folder DIR] [--json OUT.json] [--only check,first,…]

A JSON is made with compressed masks of 480 by 854 pixels, some 380 MB for 100,000 images with 5 objects each. Every
part runs in a process of its own. Memory is what Linux says of it: `peak` of the resident set with all that was
imported, and `kept`, the anonymous memory above that after the imports. Loading processes ask for all states and
masks of all frames, as an epoch does, but open no picture; `copied` is what one of them has of the index for itself
alone, `index` the share of all of them in it (PSS) before and after. Seconds of a machine that others use say little:
the processor's seconds stand beside them, and those of `json.loads` of the same file as a yardstick.
"""
import argparse, json, multiprocessing, os, re, resource, subprocess, sys, tempfile, time
from pathlib import Path

parts = 'json', 'check', 'first', 'later', 'clips', 'fork', 'spawn'
H, W, frames = 480, 854, 50        # of a picture; of a video

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--images', type=int, default=100_000)
    p.add_argument('--objects', type=int, default=5, help="annotations of an image")
    p.add_argument('--folder', help="where the JSON is made, and kept; else a temporary one")
    p.add_argument('--json', help="where the figures go as JSON")
    p.add_argument('--only', default=','.join(parts), help=f"of {', '.join(parts)}")
    p.add_argument('--part', help=argparse.SUPPRESS)
    p.add_argument('--file', help=argparse.SUPPRESS)
    return p.parse_args()

def blob(rng):
    "A wobbly outline, filled, as compressed RLE"
    import numpy as np
    from PIL import Image, ImageDraw
    from sam2_video_nb.core import rle_encode
    a = np.linspace(0, 2*np.pi, 400)
    r = 1 + sum(rng.normal(0, .25/k)*np.cos(k*a + rng.uniform(0, 6.3)) for k in range(2, 12))
    r, y, x = r*rng.uniform(60, 190), rng.uniform(60, H-60), rng.uniform(60, W-60)
    im = Image.new('1', (W, H))
    ImageDraw.Draw(im).polygon(list(zip(x + r*np.cos(a), y + r*np.sin(a))), fill=1)
    return rle_encode(np.array(im))

def made(path, n, objects):
    "The JSON, written entry by entry; some hundred different masks"
    import numpy as np
    rng, text = np.random.default_rng(0), json.JSONEncoder(separators=(',', ':')).encode
    masks = [text(blob(rng)) for _ in range(400)]
    def image(i):
        name = f'{i//frames:05}/{i%frames:05}.jpg'
        return text(dict(id=i+1, file_name=name, video_id=f'v{i//frames:05}', order_in_video=i%frames, height=H,
            width=W))
    def annotation(i):
        about = dict(id=i+1, image_id=i//objects+1, category_id=i%objects%3+1, track_id=i%objects+1, iscrowd=0,
            area=float(i%1000), bbox=[1., 2., 3., 4.])
        return f'{text(about)[:-1]},"segmentation":{masks[i*7919 % len(masks)]}}}'
    tmp = path.with_suffix('.part')
    with open(tmp, 'w') as f:
        for key, entry, count in (('images', image, n), ('annotations', annotation, n*objects)):
            f.write(('{' if key == 'images' else '],') + f'"{key}":[')
            for i in range(count): f.write((',' if i else '') + entry(i))
        f.write('],"categories":' + text([dict(id=k+1, name=f'kind {k}') for k in range(3)]) + '}')
    os.replace(tmp, path)
    return path

def memory(of='smaps_rollup', match=None):
    "Megabytes of this process by kind, or of its mappings of one file"
    text = Path(f'/proc/self/{of}').read_text()
    if match: text = ''.join(p for p in re.split(r'(?m)^(?=[0-9a-f]+-[0-9a-f]+ )', text) if match in p.split('\n')[0])
    def total(kind): return sum(int(n) for n in re.findall(rf'(?m)^{kind}: +(\d+)', text))/1024
    return dict(anonymous=total('Anonymous'), pss=total('Pss'), copied=total('Private_Dirty'))

def walk(coco, share, start, told, go):
    "A loading process: a share of the videos, all of their states and masks"
    match = f'{coco.path.name}.index'
    go.wait()
    before = memory('smaps', match)['pss']
    for v in coco.videos[start::share]:
        coco.state(v)
        for t in range(len(coco.frames[v])): coco._rles(v, t)
    after = memory('smaps', match)
    told.put((before, after['pss'], after['copied']))
    go.wait()

def loaders(coco, how, n=2):
    "An epoch of loading processes"
    ctx = multiprocessing.get_context(how)
    told, go = ctx.SimpleQueue(), ctx.Barrier(n+1)
    workers = [ctx.Process(target=walk, args=(coco, n, i, told, go)) for i in range(n)]
    t = time.perf_counter()
    for w in workers: w.start()
    go.wait()
    begun = time.perf_counter()
    own = memory('smaps', f'{coco.path.name}.index')['pss']
    figures = [told.get() for _ in workers]
    seconds = time.perf_counter() - begun
    own_after = memory('smaps', f'{coco.path.name}.index')['pss']
    go.wait()
    for w in workers: w.join()
    return dict(start=begun-t, seconds=seconds, index_before=own + sum(f[0] for f in figures),
        index_after=own_after + sum(f[1] for f in figures), copied=max(f[2] for f in figures))

def measured(part, path):
    "One part, in this process"
    from sam2_video_nb.config import DataConf
    from sam2_video_nb.data.check import check
    from sam2_video_nb.data.clips import VideoClips
    from sam2_video_nb.data.coco import CocoVideo
    conf = DataConf(image_size=128, video_clip_length=8, stride=4)
    todo = dict(json=lambda: json.loads(path.read_text()) and None, check=lambda: check(path, progress=False).ok,
        first=lambda: CocoVideo(path), later=lambda: CocoVideo(path))
    if part == 'first': Path(f'{path}.index').unlink(missing_ok=True)
    coco = CocoVideo(path) if part not in todo else None
    todo |= dict(clips=lambda: len(VideoClips(coco, conf)), fork=lambda: loaders(coco, 'fork'),
        spawn=lambda: loaders(coco, 'spawn'))
    base, t, cpu = memory()['anonymous'], time.perf_counter(), time.process_time()
    out = todo[part]()
    now = dict(seconds=time.perf_counter()-t, cpu=time.process_time()-cpu,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024, kept=memory()['anonymous']-base)
    return now | out if isinstance(out, dict) else now

def main():
    a = arguments()
    if a.part: return print(json.dumps(measured(a.part, Path(a.file))))
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(a.folder or tmp)/f'{a.images}x{a.objects}.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists(): made(path, a.images, a.objects)
        print(f"{a.images:,} images, {a.images*a.objects:,} annotations, {path.stat().st_size/1e6:,.0f} MB; "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        print(f"{'':8}{'seconds':>10}{'cpu':>8}{'peak MB':>10}{'kept MB':>10}")
        figures = dict(images=a.images, annotations=a.images*a.objects, bytes=path.stat().st_size)
        for part in a.only.split(','):
            done = subprocess.run([sys.executable, __file__, '--part', part, '--file', str(path)],
                capture_output=True, text=True)
            if done.returncode: sys.exit(f'{part}: {done.stderr[-2000:]}')
            f = figures[part] = json.loads(done.stdout.splitlines()[-1])
            more = f"   index {f['index_before']:.1f} → {f['index_after']:.1f} MB (PSS of all), copied " \
                f"{f['copied']:.1f} MB, started in {f['start']:.2f} s" if 'copied' in f else ''
            print(f"{part:8}{f['seconds']:10.2f}{f['cpu']:8.2f}{f['peak']:10.0f}{f['kept']:10.1f}{more}", flush=True)
    if a.json: Path(a.json).write_text(json.dumps(figures, indent=1))

if __name__ == '__main__': main()
