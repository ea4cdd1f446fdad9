"""Our loader beside the reference's (VOSDataset, which the sam2 package installs as `training`): clips a second.

    python benchmarks/loader.py [--davis DIR] [--size 1024] [--frames 8] [--objects 3] [--workers 0 1 2] [--clips 24]
        [--repeats 3] [--threads N] [--augment affine|flip] [--json OUT.json]

Both sides read the same JPEG frames and masks, draw the same augmentations (flip, rotation and shear, brightness,
contrast and saturation, grey, each the same for all frames of a clip), and end with float32 batches, normalised and
ready for the model, in the main process. `8 bits` is ours as far as the processor goes where there is an accelerator:
frames leave as they were read, and are changed there. They run in processes of their own that take turns; every number
of workers is tried and each side keeps its best. Our clips are read cold: a run has more of them than it takes, none
twice, and the cache begins empty. `warm` reads the same clips again. Times are medians; seconds of processor count all
processes.
"""
import argparse, json, os, resource, statistics, subprocess, sys, tempfile, time
from functools import partial
from itertools import islice
from pathlib import Path

sides = 'ours', '8 bits', 'reference'

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--davis', help="a DAVIS folder to read; else built-in videos")
    p.add_argument('--size', type=int, default=1024, help="side of the square, pixels")
    p.add_argument('--frames', type=int, default=8)
    p.add_argument('--objects', type=int, default=3, help="of a clip at most")
    p.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2], help="numbers of loading processes to try")
    p.add_argument('--clips', type=int, default=24, help="timed, after two to warm up")
    p.add_argument('--repeats', type=int, default=3, help="of each side, alternated")
    p.add_argument('--threads', type=int, default=0, help="of the main process at most; 0: as PyTorch chooses")
    p.add_argument('--augment', choices=('affine', 'flip'), default='affine', help="flip: without rotation and shear")
    p.add_argument('--json', help="where the figures go as JSON")
    p.add_argument('--side', choices=sides, help=argparse.SUPPRESS)
    p.add_argument('--folder', help=argparse.SUPPRESS)
    return p.parse_args()

def davis_level(top, folder):
    "The folder of a DAVIS tree that holds the videos, whatever resolution it is named after"
    return next(p for p in sorted((Path(top)/folder).iterdir()) if p.is_dir())

def made_once(a, folder):
    "The data of both sides: (DAVIS tree, our JSON)"
    from sam2_video_nb.data.convert import convert_davis
    top = Path(a.davis) if a.davis else built_in(folder/'tree')
    level = davis_level(top, 'JPEGImages').name
    return top, convert_davis(top, folder/'coco', resolution=level, progress=False)[0]

def built_in(top):
    "Built-in videos as a DAVIS tree: JPEG frames of 427x240 and palette PNGs"
    import numpy as np
    from PIL import Image
    from sam2_video_nb.core import generator
    from sam2_video_nb.data.synth import make_video
    for n in range(12):
        v = make_video(frames=24, size=240, n_objects=(2, 3), gen=generator(0, n), p_late=0)
        images, masks = (top/kind/'240p'/f'video{n:02d}' for kind in ('JPEGImages', 'Annotations'))
        for d in (images, masks): d.mkdir(parents=True)
        for t, (im, mask) in enumerate(zip(v.images, v.masks)):
            Image.fromarray(np.asarray(im)).resize((427, 240)).save(images/f'{t:05d}.jpg', quality=90)
            labels = (np.asarray(mask)*np.arange(1, len(mask)+1)[:,None,None]).max(0).astype(np.uint8)
            png = Image.fromarray(labels).resize((427, 240), Image.NEAREST)
            png.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
            png.save(masks/f'{t:05d}.png')
    return top

def ours(a, folder, workers):
    "A function that gives the batches of a pass, ready for the model, or left to a device to make so"
    from sam2_video_nb.config import DataConf
    from sam2_video_nb.data.clips import VideoClips, clip_loader, ready, threads_left
    from sam2_video_nb.data.coco import CocoVideo
    conf = DataConf(image_size=a.size, video_clip_length=a.frames, stride=a.frames, max_objects=a.objects,
        num_workers=workers, hflip_prob=.5, jitter=.1, grey_prob=.05, affine_degrees=25*(a.augment=='affine'))
    loader = clip_loader(VideoClips(CocoVideo(folder/'coco/train.json'), conf), raw=True)
    left = threads_left(workers)
    return (lambda: map(partial(ready, threads=left), loader)) if a.side=='ours' else lambda: iter(loader)

def reference(a, folder, workers):
    "The same of the reference; its own recipe jitters each frame once more, which is left out here"
    import torch
    from training.dataset import transforms as t
    from training.dataset.vos_dataset import VOSDataset
    from training.dataset.vos_raw_dataset import PNGRawDataset
    from training.dataset.vos_sampler import RandomUniformSampler
    from training.utils.data_utils import collate_fn
    top = Path(a.davis) if a.davis else folder/'tree'
    data = PNGRawDataset(*(str(davis_level(top, k)) for k in ('JPEGImages', 'Annotations')))
    steps = [t.RandomHorizontalFlip(True)]
    if a.augment=='affine': steps.append(t.RandomAffine(25, True, shear=20, image_interpolation='bilinear'))
    steps += [t.RandomResizeAPI(a.size, True, square=True), t.ColorJitter(True, .1, .1, .1, None),
        t.RandomGrayscale(True, .05), t.ToTensorAPI(), t.NormalizeAPI([.485, .456, .406], [.229, .224, .225])]
    data.video_names *= -(-2*(a.clips+8)//len(data.video_names))
    ds = VOSDataset([t.ComposeAPI(steps)], True, data, RandomUniformSampler(a.frames, a.objects), 1)
    loader = torch.utils.data.DataLoader(ds, 1, shuffle=True, num_workers=workers, persistent_workers=workers>0,
        collate_fn=partial(collate_fn, dict_key='all'))
    return lambda: iter(loader)

def processor_seconds():
    "Of this process and of the workers, which must have ended"
    return sum(u.ru_utime+u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

def run_side(a):
    "Seconds a clip by number of workers, as JSON on the last line"
    import torch
    if a.threads: torch.set_num_threads(a.threads)
    out = {}
    for workers in a.workers:
        batches = (reference if a.side=='reference' else ours)(a, Path(a.folder), workers)
        before, it = processor_seconds(), batches()
        for _ in range(2): next(it)
        start = time.perf_counter()
        n = sum(1 for _ in islice(it, a.clips))
        out[workers] = dict(seconds=(time.perf_counter()-start)/n, clips=n)
        if workers: del it, batches                  # the workers end, and are counted
        out[workers]['processor'] = (processor_seconds()-before)/(n+2)
        if a.side=='ours' and not workers: out[workers]['warm'] = warm(batches, n)
    return out

def warm(batches, n):
    "Seconds a clip of the same clips once more"
    start = time.perf_counter()
    n = sum(1 for _ in islice(batches(), n))
    return (time.perf_counter()-start)/n

def ask(a, side, folder):
    "Measure in a process of its own"
    line = [sys.executable, __file__, '--side', side, '--folder', str(folder)]
    for k, v in vars(a).items():
        if k in ('json', 'side', 'folder', 'repeats') or v is None: continue
        line += [f'--{k}', *map(str, v if isinstance(v, list) else [v])]
    r = subprocess.run(line, capture_output=True, text=True)
    if r.returncode: sys.exit(f'{side}: {r.stderr[-2000:]}')
    return json.loads(r.stdout.splitlines()[-1])

def compare(a):
    "Clips a second of both sides"
    with tempfile.TemporaryDirectory() as folder:
        made_once(a, Path(folder))
        runs = {s: [] for s in sides}
        for _ in range(a.repeats):
            for side in runs: runs[side].append(ask(a, side, folder))
    def median(side, workers, key): return statistics.median(r[workers][key] for r in runs[side])
    out = {}
    for side in runs:
        by_workers = {w: dict(clips_per_second=1/median(side, str(w), 'seconds')) for w in a.workers}
        for w, o in by_workers.items(): o['processor_seconds'] = median(side, str(w), 'processor')
        out[side] = dict(by_workers=by_workers, best=max(o['clips_per_second'] for o in by_workers.values()))
    if 0 in a.workers: out['ours']['warm'] = 1/median('ours', '0', 'warm')
    given = {k: v for k, v in vars(a).items() if k not in ('side', 'folder')}
    ratio = {s: out[s]['best']/out['reference']['best'] for s in sides[:2]}
    return out | dict(ratio=ratio, cores=len(os.sched_getaffinity(0)), arguments=given)

def table(r):
    "The figures in Markdown"
    yield f"| clips a second | {' | '.join(sides)} | ratios |\n|---|---|---|---|---|"
    for key, name, fmt, way in (('clips_per_second', '{} workers', '.2f', 1),
            ('processor_seconds', '{} workers: seconds of processor a clip', '.3f', -1)):
        for w in r['arguments']['workers']:
            x = [r[s]['by_workers'][w][key] for s in sides]
            ratios = ', '.join(f'{(o/x[2])**way:.2f}' for o in x[:2])
            yield f"| {name.format(w)} | {' | '.join(f'{o:{fmt}}' for o in x)} | {ratios} |"
    best = ' | '.join(f"{r[s]['best']:.2f}" for s in sides)
    yield f"| each side's best | {best} | {', '.join(f'{o:.2f}' for o in r['ratio'].values())} |"
    if 'warm' in r['ours']: yield f"| frames in memory, 0 workers | {r['ours']['warm']:.2f} | | | |"

def main():
    a = arguments()
    if a.side: return print(json.dumps(run_side(a)))
    r = compare(a)
    print('\n'.join(table(r)))
    if a.json: Path(a.json).write_text(json.dumps(r, indent=1), encoding='utf-8')

if __name__=='__main__': main()
