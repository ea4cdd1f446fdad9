"""How a training step's cost grows with frames, objects and size: ours in three modes, and the reference's.

    python benchmarks/curves.py [--arch tiny] [--small] [--json nbs/benchmarks/cost.json]

As `step.py` runs them (same weights, clip, prompts, trainable parameters), in this process, on one thread: live MiB
made in the step (kept at the end of the forward pass, and at its peak), GFLOP, and processor seconds of a step that is
not counted (all sides in turns, the median of three), beside those of a product of matrices. `--small` is a tiny point,
for a test.
"""
import argparse, json, statistics, time
from pathlib import Path
import torch
import step

sides = dict(reference=('reference', 'exact'), exact=('ours', 'exact'), lean=('ours', 'lean'), frame=('ours', 'frame'))
base = dict(frames=4, objects=2, size=128)
along = dict(frames=(2, 4, 8, 16), objects=(1, 2, 4), size=(64, 128, 192, 256))

def points():
    "Settings to measure, each once"
    found = [base | {k: v} for k, vs in along.items() for v in vs]
    return [p for i, p in enumerate(found) if p not in found[:i]]

def matmul_gflops(n=1024, times=5):
    "GFLOP a processor second of products of (n,n) matrices, the best of some"
    a, found = torch.ones(n, n), []
    for _ in range(times):
        start = time.process_time()
        a @ a
        found.append(2*n**3/1e9/(time.process_time()-start))
    return max(found)

def side_of(arch, point, side):
    "A side at a point: its settings, step, model and optimizer"
    which, mode = sides[side]
    a = argparse.Namespace(arch=arch, mode=mode, features='cold', prompt='mask', device='cpu', davis=None,
        tokens=1., object_chunk=None, bptt=None, encoder_precision='full', **point)
    torch.manual_seed(0)
    do, model = (step.ours if which=='ours' else step.reference)(a, step.clip_batch(a))
    return a, do, model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-6)

def measure(arch, point, rounds=3):
    "Of each side: live MiB, GFLOP and processor seconds of a step"
    made = {s: side_of(arch, point, s) for s in sides}
    counted = {s: step.counted(do, model, opt) for s, (_, do, model, opt) in made.items()}
    times = [{s: step.timed(a, do, opt)['cpu_seconds'] for s, (a, do, _, opt) in made.items()} for _ in range(rounds)]
    def of(side):
        found = {k: counted[side][f'made_{k}_mib'] for k in ('kept', 'peak')} | dict(gflop=counted[side]['gflop'])
        seconds = statistics.median(t[side] for t in times)
        return {k: round(v, 2) for k, v in found.items()} | dict(seconds=round(seconds, 3))
    return {s: of(s) for s in sides}

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--arch', default='tiny')
    p.add_argument('--small', action='store_true', help="one tiny point")
    p.add_argument('--json', help="where the figures go")
    a = p.parse_args()
    torch.set_num_threads(1)
    out = dict(arch=a.arch, torch=torch.__version__, matmul_gflops=round(matmul_gflops(), 1), points=[])
    for point in [dict(frames=2, objects=1, size=64)] if a.small else points():
        out['points'].append(point | measure(a.arch, point))
        print(json.dumps(out['points'][-1]), flush=True)
        if a.json: write(Path(a.json), out)

def write(path, out):
    "The figures so far"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(out, indent=1)+'\n', encoding='utf-8')

if __name__=='__main__': main()
