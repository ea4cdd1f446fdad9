"""Makes sam2_video_nb/configs/preset/: settings for each official size and GPU, by `plan` (no GPU is needed).

    python tools/presets.py            write them all (a few minutes)
    python tools/presets.py --check    plan those of the smallest GPU again; exit 1 if one does not fit

Clips of 8 frames at 1024 px in bf16; as many objects as fit. What a step needs grows evenly with the objects, so that
two plans tell all. Parts of a step are computed again in the backward pass; whole frames, where else no 3 objects fit.
"""
import argparse, sys
from pathlib import Path
from sam2_video_nb.config import configs, load_cfg
from sam2_video_nb.train.plan import plan_step

sizes, gpus, most, few, many = ('tiny', 'small', 'base_plus', 'large'), (8, 12, 16, 24, 80), 32, 3, 8
full = .95      # of a GPU: its screen wants some, too

text = """# @package _global_
# {size} on a GPU of {gpu} GB: a step needs {needs:.1f} GB by plan. Made by tools/presets.py
model:
  name: {size}
  activation_checkpointing: {mode}
  attention_dropout: false
data:
  image_size: 1024
  video_clip_length: 8
  max_objects: {objects}
  batch_size: 1
trainer:
  precision: bf16-mixed
"""

def needs(size, mode, objects):
    "GB that a step needs"
    return plan_step(load_cfg([f'model.name={size}', 'model.checkpoint_path=hub', 'data.image_size=1024',
        'data.video_clip_length=8', 'data.batch_size=1', f'data.max_objects={objects}', 'trainer.precision=bf16-mixed',
        f'model.activation_checkpointing={mode}', 'model.attention_dropout=false'])).needs/2**30

def line(size, mode):
    "(GB without an object, GB for each) of a size"
    a, b = (needs(size, mode, n) for n in (few, many))
    each = (b-a)/(many-few)
    return a-few*each, each

def fitting(lines, gpu):
    "(mode, objects, GB) that fit a GPU; None: not even a few objects do"
    for mode, (start, each) in lines.items():
        objects = min(most, int((full*gpu-start)/each))
        if objects >= few: return mode, objects, start+objects*each

def make(folder):
    "Write a preset for each size and GPU"
    folder.mkdir(exist_ok=True)
    for size in sizes:
        lines = dict(parts=line(size, 'parts'))
        for gpu in gpus:
            if not fitting(lines, gpu) and 'frame' not in lines: lines['frame'] = line(size, 'frame')
            found = fitting(lines, gpu)
            if not found:
                print(f"{size} on {gpu} GB: does not fit; data.image_size=512 or a smaller size would")
                continue
            mode, objects, gb = found
            print(f'{size} on {gpu} GB: {mode}, {objects} objects, {gb:.1f} GB', flush=True)
            written = text.format(size=size, gpu=gpu, mode=mode, objects=objects, needs=gb)
            (folder/f'{size}_{gpu}gb.yaml').write_text(written, encoding='utf-8')

def check():
    "Do the presets of the smallest GPU fit?"
    over = []
    for size in sizes:
        cfg = load_cfg([f'preset={size}_{gpus[0]}gb', 'model.checkpoint_path=hub'])
        gb = plan_step(cfg).needs/2**30
        print(f'{size}: {gb:.1f} GB')
        if gb > gpus[0]: over.append(size)
    return int(bool(over))

if __name__=='__main__':
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--check', action='store_true', help="write nothing; exit 1 if one does not fit")
    sys.exit(check() if p.parse_args().check else make(configs()/'preset'))
