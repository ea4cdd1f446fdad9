"""Runs that are killed at random moments and resumed must end as the run that was never killed, bit for bit.

    python .ci/kills.py [--kills 24] [--seed 0] [--out FOLDER] [--only NAME]

Each training is a process of its own with its loading processes, forked from this one (so that it need not import
PyTorch each time) and ended by SIGKILL, together with all that it started: with the other ranks, where a case has
some, which meet by srun's variables. The model draws random numbers: it has dropout. Compared are weights, optimizer,
schedule, what the checkpoints say of themselves, best.ckpt, and metrics.csv and metrics.json as they stand. Exit code
1 if anything differs.
"""
import argparse, json, os, random, re, shutil, signal, socket, sys, tarfile, tempfile, threading, time
from pathlib import Path
import torch
from tqdm import tqdm
from sam2_video_nb.cli import sam2_video_train
from sam2_video_nb.core import ModelError
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.model.weights import check_seal
from sam2_video_nb.run import read_status
import sam2_video_nb.train.trainer          # before a fork, not in each

here = Path(__file__).resolve().parent

# name → settings: with and without loading processes, with validations within an epoch, with an early stop, and with
# several batches to a step and an average of the weights
cases = {
    'workers': ['data.num_workers=2', 'checkpoint.every_n_steps=1', 'checkpoint.keep=3'],
    'alone': ['data.num_workers=0', 'checkpoint.every_n_steps=2', 'callbacks.early_stopping_patience=2'],
    'within': ['data.num_workers=2', 'checkpoint.every_n_steps=1', 'trainer.val_check_interval=0.5',
               'trainer.accumulate_grad_batches=2', 'checkpoint.every_minutes=0.001', 'callbacks.ema_decay=0.9'],
    'ranks': ['data.num_workers=0', 'checkpoint.every_n_steps=1', 'checkpoint.keep=2'],
}
ranks = dict(ranks=2)      # processes of a case, killed all at once; of the others 1

def material(at):
    "Videos and a small model with dropout, and the settings that all runs have"
    train, val = write_synth(at/'data', videos=8, frames=6, size=64)
    with tarfile.open(here/'old_run.tar.xz') as f: text = f.extractfile('./pico.yaml').read().decode()
    (at/'pico.yaml').write_text(text.replace('dropout: 0.0', 'dropout: 0.2'))
    return [f'data.train_path={train}', f'data.val_path={val}', f'model.config_path={at}/pico.yaml',
        'model.trainable_modules=[memory_attention,memory_encoder]', 'data.image_size=64', 'data.batch_size=1',
        'data.stride=2', 'data.video_clip_length=3', 'prompts.preset=reference', 'prompts.clicks=2',
        'optimizer.lr=1e-3',
        'trainer.accelerator=cpu', 'trainer.max_epochs=3', 'trainer.log_every_n_steps=1', 'eval.bootstrap=100',
        'trainer.enable_progress_bar=false', 'visualization.val_first_batch_every_n_epochs=1',
        f'eval.cache_dir={at}/baselines', f'output_dir={at}', 'resume=auto']

# A process that is killed

def start(words, out, n=1):
    "A training in a process of its own, the first of a group, and of as many ranks; its process id"
    sys.stdout.flush()
    if pid := os.fork(): return pid
    os.setsid()
    with open(out, 'a', encoding='utf-8') as f:
        os.dup2(f.fileno(), 1)
        os.dup2(f.fileno(), 2)
    code, others = 1, []
    try:
        others = be_one_of(n) if n > 1 else []
        code = sam2_video_train(words)
        for pid in others: code = max(code, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    finally: os._exit(code)

def be_one_of(n):
    "Make this process the first of n ranks of srun, and start the others; in the first one, their process ids"
    with socket.create_server(('127.0.0.1', 0)) as s: port = s.getsockname()[1]
    os.environ.update(SLURM_JOB_ID='1', SLURM_JOB_NAME='train', SLURM_NTASKS=str(n), SLURM_NTASKS_PER_NODE=str(n),
        SLURM_NNODES='1', SLURM_NODEID='0', SLURM_NODELIST='127.0.0.1', MASTER_PORT=str(port))
    others = []
    for r in range(n-1, -1, -1):
        os.environ.update(SLURM_PROCID=str(r), SLURM_LOCALID=str(r))
        if r==0: return others
        if not (pid := os.fork()): return []
        others.append(pid)

def ended(pid):
    "The exit code of a process; None while it lives"
    got, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if got else None

def moments(run, rng, seconds):
    "Names of moments → a function that says whether it has come"
    log, last, best = run/'training.log', run/'checkpoints/last.ckpt', run/'checkpoints/best.ckpt'
    begun, size = time.monotonic(), log.stat().st_size if log.exists() else 0
    pause, after = rng.uniform(0, seconds), rng.choice([1, 1, 2, 3, 5])
    def age(p): return p.stat().st_mtime_ns if p.exists() else 0
    ages, seen = {p: age(p) for p in (last, best)}, []
    def said(text):
        if not log.exists(): return False
        with open(log, encoding='utf-8') as f:
            f.seek(size)
            return text in f.read()
    def written(p, times=1):
        if age(p)!=ages[p]: ages[p] = age(p); seen.append(p)
        return seen.count(p) >= times
    def half(name, times=1):          # a file that is being written
        if times > 1 and not written(last, times-1): return False
        return any(p.name.startswith(f'.{name}.') for p in (run/'checkpoints').glob('.*'))
    def training():
        going_on = read_status(run).get('state') in ('training', 'validating') and said('resumed from')
        return going_on or written(last)
    since = []
    def a_while():
        if training() and not since: since.append(time.monotonic())
        return bool(since) and time.monotonic()-since[0] > pause
    return {
        'at the start': lambda: time.monotonic()-begun > pause,
        'in training': a_while,
        'after a checkpoint': lambda: written(last, after),
        'while last.ckpt is written': lambda: half('last', after),
        'while best.ckpt is written': lambda: half('best'),
        'between best.ckpt and last.ckpt': lambda: written(best),
        'in a validation': lambda: read_status(run).get('state')=='validating',
        'at the end': lambda: said('ended after')}

def killed(words, run, rng, seconds, n):
    "Start, and kill at a random moment; what happened, or None where the run ended first"
    known = moments(run, rng, seconds)
    name = rng.choice(list(known))
    pid = start(words, run.with_suffix('.out'), n)
    while True:
        code = ended(pid)
        if code==0: return None
        if code is not None:
            raise SystemExit(f'{run.name}: exit {code}:\n{run.with_suffix(".out").read_text()[-3000:]}')
        if known[name](): break
        time.sleep(0 if 'while' in name else .005)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return name

def whole(run):
    "What a kill left: half written files (hidden); raises where a checkpoint is not whole"
    files = list((run/'checkpoints').iterdir()) if (run/'checkpoints').is_dir() else []
    for p in files:
        if not p.name.startswith('.') and not check_seal(p): raise ModelError(f'{p}: no seal')
    return [p.name for p in files if p.name.startswith('.')]

# What must be equal

def differences(a, b, where=''):
    "Where two values differ"
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.shape==b.shape and a.dtype==b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())
        return [] if same else [where]
    if isinstance(a, dict) and isinstance(b, dict):
        if list(map(str, a))!=list(map(str, b)) and set(a)!=set(b): return [f'{where}: {set(a)^set(b)}']
        return [d for k in a for d in differences(a[k], b[k], f'{where}/{k}')]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        if len(a)!=len(b): return [f'{where}: {len(a)} and {len(b)}']
        return [d for i, (x, y) in enumerate(zip(a, b)) for d in differences(x, y, f'{where}[{i}]')]
    return [] if a==b or a!=a and b!=b else [f'{where}: {a!r} and {b!r}']

def read(path):
    "A checkpoint without what is of its folder or of how often it was started"
    c = torch.load(path, map_location='cpu', weights_only=True)
    kept = ('state_dict', 'optimizer_states', 'lr_schedulers', 'sam2_video_nb', 'losses', 'global_step', 'epoch',
            'random_states', 'metrics_csv')
    early = {k: v for k, v in c['callbacks'].items() if k.startswith('EarlyStopping')}
    return {k: c[k] for k in kept} | dict(early=early, ema=c.get('ema'))

def compare(ref, run):
    "Where a run that was killed differs from the one that was not"
    out = []
    for name in ('last.ckpt', 'best.ckpt'):
        a, b = (read(r/'checkpoints'/name) for r in (ref, run))
        out += [f'{name}{d}' for d in differences(a, b)]
    rows = [(r/'metrics.csv').read_text().splitlines() for r in (ref, run)]
    if rows[0]!=rows[1]: out.append(f'metrics.csv: {len(rows[0])} and {len(rows[1])} rows, first other: '
        + str(next(((x, y) for x, y in zip(*rows) if x!=y), 'none')))
    figures = [json.loads((r/'metrics.json').read_text()) | dict(waiting=None) for r in (ref, run)]      # a time
    out += [f'metrics.json{d}' for d in differences(*figures)]
    # of the model before training there is none where its figures were found, not measured
    gifs = [sorted(p.name for p in (r/'gifs').iterdir() if '_step000000' not in p.name) for r in (ref, run)]
    out += [f'gifs{d}' for d in differences(*gifs)]
    if not (run/'report.html').is_file(): out.append('report.html is missing')
    return out

# All of it

def one_case(name, more, base, at, rng, kills, again):
    "Kill a run until it was killed often enough or has ended; (kills, differences)"
    words = lambda run: [*base, *more, f'hydra.run.dir={run}']
    ref, run, n = at/f'{name}_never', at/f'{name}_{again}', ranks.get(name, 1)
    if not ref.exists():
        begun = time.monotonic()
        pid = start(words(ref), ref.with_suffix('.out'), n)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code: raise SystemExit(f'{ref.name}: exit {code}:\n{ref.with_suffix(".out").read_text()[-3000:]}')
        (at/f'{name}.seconds').write_text(str(time.monotonic()-begun))
    seconds, done = float((at/f'{name}.seconds').read_text())/3, 0
    while done < kills:
        when = killed(words(run), run, rng, seconds, n)
        if when is None: break
        done += 1
        left = whole(run)
        print(f'  {run.name}: killed {when}' + (f', half written: {left}' if left else ''), flush=True)
    else:
        pid = start(words(run), run.with_suffix('.out'), n)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code: raise SystemExit(f'{run.name}: exit {code}:\n{run.with_suffix(".out").read_text()[-3000:]}')
    said = re.findall(r'resumed from .*', run.with_suffix('.out').read_text())
    print(f'  {run.name}: ended after {done} kills; last: {said[-1] if said else "begun again"}', flush=True)
    return done, compare(ref, run)

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--kills', type=int, default=24)
    p.add_argument('--each', type=int, default=8, help="kills of one run at most")
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--out', help="keep the runs there")
    p.add_argument('--only', nargs='+', default=list(cases), choices=list(cases))
    a = p.parse_args()
    if not hasattr(os, 'fork'): raise SystemExit('skipped: processes cannot be forked here')
    torch.set_num_threads(1)
    tqdm.set_lock(threading.RLock())       # its own is shared by all forks, and a killed one may hold it for ever
    at = Path(a.out or tempfile.mkdtemp()).resolve()
    at.mkdir(parents=True, exist_ok=True)
    base, rng, kills, wrong, again = material(at), random.Random(a.seed), 0, [], 0
    while kills < a.kills:
        name = a.only[again % len(a.only)]
        n, found = one_case(name, cases[name], base, at, rng, min(a.each, a.kills-kills), again)
        kills, again = kills+n, again+1
        for d in found[:20]: print(f'  DIFFERS: {d}', flush=True)
        wrong += found
    print(f'{kills} kills of {again} runs, {len(wrong)} differences from the runs that were never killed')
    if not a.out: shutil.rmtree(at)
    return bool(wrong)

if __name__=='__main__': sys.exit(main())
