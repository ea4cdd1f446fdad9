"""How well nano tracks real video, beside three ways that learn nothing: J, F and J&F on a DAVIS folder.

    python benchmarks/track.py DAVIS [--checkpoint nano] [--size PIXELS] [--resolution 480p] [--videos a,b]
        [--threads N] [--json OUT.json]

A mask on the first frame is given, as in DAVIS; that frame is not scored. `copy` leaves it where it is; `flow` moves it
from frame to frame by DIS optical flow (OpenCV), at the model's own size and at the full one. All are scored at the
video's size. Frames a second are of tracking alone, pictures read and masks written left out, with one object.
"""
import argparse, json, os, sys, tempfile, time
from pathlib import Path

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('davis', help="folder with JPEGImages/ and Annotations/")
    p.add_argument('--checkpoint', default='nano', help="as model.checkpoint_path")
    p.add_argument('--size', type=int, help="side of the model's input, pixels; else the checkpoint's")
    p.add_argument('--resolution', default='480p', help="name of the level below JPEGImages/")
    p.add_argument('--videos', help="only these, with commas")
    p.add_argument('--threads', type=int, default=0, help="0: as PyTorch chooses")
    p.add_argument('--json', help="where the figures go as JSON")
    return p.parse_args()

def grey(frame, size=None):
    "A frame as OpenCV's flow takes it"
    import numpy as np
    from PIL import Image
    return np.asarray(frame.convert('L') if size is None else frame.convert('L').resize((size, size), Image.BILINEAR))

def by_flow(frames, mask, size=None):
    "The first frame's mask, moved on from frame to frame"
    import cv2, numpy as np
    dis, soft = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), mask.astype(np.float32)
    if size: soft = cv2.resize(soft, (size, size), interpolation=cv2.INTER_AREA)
    greys = [grey(f, size) for f in frames]
    y, x = np.mgrid[:soft.shape[0],:soft.shape[1]].astype(np.float32)
    out = [mask]
    for before, now in zip(greys, greys[1:]):
        flow = dis.calc(now, before, None)                     # where each place of this frame was before
        soft = cv2.remap(soft, x+flow[...,0], y+flow[...,1], cv2.INTER_LINEAR)
        full = cv2.resize(soft, mask.shape[::-1], interpolation=cv2.INTER_LINEAR) if size else soft
        out.append(full > .5)
    return np.stack(out)

def scores_of(pred, coco, vid, o):
    "Scores of one object's masks, without the first frame"
    import torch
    from sam2_video_nb.track.metrics import score_object
    true = torch.stack([coco.masks(vid, t, [o])[0] for t in range(len(coco.frames[vid]))])
    return score_object(torch.from_numpy(pred), true, coco.state(vid)[:,o], skip=(0,))

def baselines(coco, vid, size):
    "Scores of each way that learns nothing, by object"
    import numpy as np
    frames = [coco.image(vid, t) for t in range(len(coco.frames[vid]))]
    out = {'copy': [], f'flow at {size} px': [], 'flow at full size': []}
    for o in range(len(coco.objs[vid])):
        first = coco.masks(vid, 0, [o])[0].numpy()
        for name, pred in zip(out, (np.repeat(first[None], len(frames), 0), by_flow(frames, first, size),
                by_flow(frames, first))): out[name].append(scores_of(pred, coco, vid, o))
    return out

def speed(model, coco, vid):
    "Frames a second with one object, pictures already read"
    from sam2_video_nb.config import PromptConf
    from sam2_video_nb.model.prompts import PromptPolicy
    from sam2_video_nb.track.tracker import track, truth_prompts
    frames = [coco.image(vid, t) for t in range(len(coco.frames[vid]))]
    prompts = truth_prompts(coco, vid, PromptPolicy(PromptConf(prompt_type='mask'), train=False))
    prompts = dict([next(iter(prompts.items()))])
    t = time.perf_counter()
    n = sum(1 for _ in track(model, frames, prompts, progress=False))
    return n/(time.perf_counter()-t)

def main():
    a = arguments()
    try: import cv2
    except ImportError: sys.exit("the flow needs OpenCV: pip install opencv-python-headless")
    import torch
    if a.threads: torch.set_num_threads(a.threads)
    cv2.setNumThreads(torch.get_num_threads())
    from sam2_video_nb.config import PromptConf
    from sam2_video_nb.data.coco import CocoVideo
    from sam2_video_nb.data.convert import convert_davis
    from sam2_video_nb.model.sam2 import load_model
    from sam2_video_nb.model.weights import read_start
    from sam2_video_nb.track.tracker import Scoring, score_video
    model = load_model(read_start(a.checkpoint, image_size=a.size))
    size, how, found = model.sam2.image_size, Scoring(prompts=PromptConf(prompt_type='mask')), {}
    with tempfile.TemporaryDirectory() as tmp:
        coco = CocoVideo(convert_davis(a.davis, tmp, resolution=a.resolution, link=True, progress=False)[0])
        videos = a.videos.split(',') if a.videos else coco.videos
        for v in videos:
            found[v] = baselines(coco, v, size)
            found[v][f'{a.checkpoint} at {size} px'] = [s._asdict() for s in score_video(model, coco, v, how.policy)]
            print(v, *(f"{name} {sum(s['J'] for s in ss)/len(ss):.3f}" for name, ss in found[v].items()), flush=True)
        fps = speed(model, coco, videos[0])
    table(found)
    print(f"{fps:.1f} frames a second, {torch.get_num_threads()} threads of {os.cpu_count()} cores")
    if a.json: Path(a.json).write_text(json.dumps(dict(videos=found, frames_a_second=fps, size=size), indent=1))

def table(found):
    "Means over objects"
    print('\n| | J | F | J&F |\n|---|---|---|---|')
    for name in next(iter(found.values())):
        all_ = [s for ways in found.values() for s in ways[name]]
        print(f'| {name} |', ' | '.join(f"{sum(s[k] for s in all_)/len(all_):.3f}" for k in ('J', 'F', 'JF')), '|')

if __name__ == '__main__': main()
