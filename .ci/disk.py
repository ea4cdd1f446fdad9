"""Every command on disks that fill up, that can only be read, and under a limit on the size of files

A good run says what a command writes. Then it runs again where that does not fit: on disks of tmpfs of several sizes
(TMPDIR is another one), on one mounted read-only, in a folder without permission, and with `ulimit -f`. Each time: an
error is one line that names a file and a remedy; each file under a good name can be read to its end; no temporary file
is left. Over an earlier result each file is as it was, or new and whole. Needs the right to mount; without it only
limits on files are tried.
Usage: python .ci/disk.py [--long] [NAME ...]"""
import argparse, contextlib, ctypes, io, json, os, resource, shutil, struct, subprocess, sys, tempfile, time, warnings
from pathlib import Path
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')
import numpy as np, torch
from PIL import Image
from sam2_video_nb import cli
from sam2_video_nb.core import DiskError
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.data.video import open_frames
from sam2_video_nb.model.weights import check_seal

torch.set_num_threads(1)
warnings.filterwarnings('ignore')

@contextlib.contextmanager
def disk(at, size):
    "A disk of `size` bytes at a folder"
    at.mkdir(exist_ok=True)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', at], check=True, capture_output=True)
    try: yield at
    finally: subprocess.run(['umount', '-l', at], check=True)

def can_mount(at):
    try:
        with disk(at, 4096): return True
    except (OSError, subprocess.CalledProcessError): return False

@contextlib.contextmanager
def limit(size):
    "No file may grow beyond `size`"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try: yield
    finally: resource.setrlimit(resource.RLIMIT_FSIZE, old)

@contextlib.contextmanager
def unprivileged():
    "Permissions hold, for root too (Linux: CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER are put aside)"
    libc, head = ctypes.CDLL(None), ctypes.create_string_buffer(struct.pack('Ii', 0x20080522, 0))
    caps = ctypes.create_string_buffer(24)
    assert libc.capget(head, caps)==0
    effective, *rest = struct.unpack('6I', caps.raw)
    assert libc.capset(head, struct.pack('6I', effective & ~0b1110, *rest))==0
    try: yield
    finally: libc.capset(head, caps)

def readable(p):
    "Read a file to its end, as what its name says; an exception where it is half"
    kind = p.suffix
    if kind in ('.json',): json.loads(p.read_text())
    elif kind=='.jsonl': [json.loads(l) for l in p.read_text().splitlines()]
    elif kind in ('.png', '.jpg', '.gif', '.tif'):
        with Image.open(p) as im:
            for k in range(getattr(im, 'n_frames', 1)):
                im.seek(k)
                im.load()
    elif kind=='.mp4': assert list(open_frames(p))
    elif kind=='.npz':
        with np.load(p) as z: [z[k] for k in z]
    elif kind=='.ckpt' or p.name=='state.pt': assert check_seal(p)
    elif kind=='.pt': torch.load(p, weights_only=True)
    elif kind=='.safetensors':
        from safetensors.torch import load_file
        load_file(p)
    elif kind=='.csv':
        text = p.read_text()
        assert text.endswith('\n') and len({l.count(',') for l in text.splitlines()})==1
    elif kind=='.html': assert p.read_text().rstrip().endswith('</html>')
    elif kind=='.svg': assert p.read_text().rstrip().endswith('</svg>')

def half(folder):
    "Names of files that are half, or temporary"
    found = []
    for p in (q for q in folder.rglob('*') if q.is_file()):
        try: readable(p)
        except Exception as e: found.append(f'{p.relative_to(folder)} ({type(e).__name__}: {str(e)[:60]})')
    return found + [f'{p.relative_to(folder)} (left behind)' for p in folder.rglob('.*')]

def held(folder): return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob('*') if p.is_file()}

def call(command, words):
    "Exit code, stdout, lines of stderr"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err): code = command(list(words))
    return code, out.getvalue(), [l for l in err.getvalue().splitlines() if l.strip()]

def told(lines):
    "The line of the error; raises where there is none, or what is needed is not in it"
    errors = [l for l in lines if l.startswith('error: ')]
    if len(errors)!=1: raise AssertionError(f'{len(errors)} lines of error: {lines[-3:]}')
    line = errors[0]
    if 'Traceback' in ' '.join(lines) or '(a bug of ours' in line: raise AssertionError(line)
    remedies = 'make room', 'choose another', 'raise the limit', 'no folder can', 'no run folder'
    if ': ' not in line[7:] or not any(w in line for w in remedies):
        raise AssertionError(f'no remedy: {line}')
    return line

def common(data):
    return ['model.name=nano', 'data.image_size=64', 'trainer.accelerator=cpu', 'log_level=warning',
            f'data.train_path={data}/train.json', f'data.val_path={data}/val.json']

def commands(data, run):
    "Name → (command, words with OUT for the folder to write to, files that must lie there first)"
    words, best = common(data), run/'checkpoints/best.ckpt'
    own = [w for w in words if not w.startswith('model.name')] + [f'model.checkpoint_path={best}']
    predict = [f'model.checkpoint_path={best}', 'data.image_size=64', 'trainer.accelerator=cpu', 'log_level=warning',
               f'predict.prompts={data}/val.json', 'predict.video_id=val_000', 'predict.save_every=2',
               'predict.output=OUT']
    out = dict(
        predict=(cli.sam2_video_predict, predict),
        predict_gif=(cli.sam2_video_predict, predict+['predict.overlay=gif', 'predict.direction=both']),
        eval=(cli.sam2_video_eval, own+['hydra.run.dir=OUT', 'eval.gifs=1', 'eval.baseline=false']),
        export=(cli.sam2_video_export, [str(run), 'OUT']),
        delta=(cli.sam2_video_export, [str(run), 'OUT', '--delta', '--base', str(run/'checkpoints/last.ckpt')]),
        stats=(cli.sam2_video_check, [f'{data}/train.json', f'{data}/val.json', '--stats-png', 'OUT/s.png']),
        train=(cli.sam2_video_train, words+['hydra.run.dir=OUT', 'trainer.max_epochs=1', 'eval.baseline=false',
                                            'trainer.enable_progress_bar=false', 'data.batch_size=2']))
    for name in ('davis', 'png', 'colours', 'sav', 'ytvis', 'npz', 'tiff', 'ctc'):
        more = ['--every', '1'] if name=='sav' else []
        out[f'to-{name}'] = (cli.sam2_video_convert, [f'to-{name}', f'{data}/train.json', 'OUT', *more])
    out['split'] = (cli.sam2_video_convert, ['split', 'OUT/train.json', '--val', '.3'], data/'train.json')
    return {name: (command, words, given) for name, (command, words, *given) in out.items()}

def rooms(size, long):
    "Sizes of disks, from none to nearly enough"
    parts = np.linspace(0, .98, 12) if long else (.0, .3, .75)
    return sorted({max(4096, int(size*p)//4096*4096) for p in parts})

def tried(command, words, at, where, old=None):
    "One run under a condition: what was seen; raises where it is not as it must be. `old`: what was there before"
    with where: code, out, lines = call(command, [w.replace('OUT', str(at)) for w in words])
    if bad := half(at): raise AssertionError(f'half files: {bad[:4]}')
    now = held(at)
    if lost := [k for k in old or () if k not in now]: raise AssertionError(f'lost: {lost[:4]}')
    if code: return told(lines)
    return 'went on: ' + next((l for l in lines+out.splitlines() if 'not written' in l), 'all of it had room')

def try_command(name, command, words, given, here, mounts, long):
    "A command under all conditions; gives the failures"
    good, failures, n = here/'good', [], 0
    def put(at):
        for p in given: shutil.copy(p, at)
    shutil.rmtree(good, ignore_errors=True)
    good.mkdir()
    put(good)
    code, out, lines = call(command, [w.replace('OUT', str(good)) for w in words])
    if code: return [f'{name}: does not run at all: {lines[-1:]}'], 1
    files = held(good)
    made = {k: v for k, v in files.items() if k not in [p.name for p in given]}
    def room(files): return sum(-(-len(v)//4096)*4096 for v in files.values()) + 4096*len(files)//2
    used, there = room(made), room(files)-room(made) + 4096*len(given)
    biggest = max(map(len, made.values()))
    here_now = here/'small'
    def one(what, at, where, words=words, old=None):
        nonlocal n
        n += 1
        try: seen = tried(command, words, at, where, old)
        except Exception as e: failures.append(f'{name}, {what}: {type(e).__name__}: {e}')
        else: print(f'  {name}, {what}: {seen.replace(str(here), "…")[:230]}', flush=True)
    if mounts:
        for size in rooms(used, long):
            with disk(here_now, size+there):
                put(here_now)
                one(f'{size//1024} KB of {used//1024}', here_now, contextlib.nullcontext())
        with disk(here_now, 1<<20):
            put(here_now)
            subprocess.run(['mount', '-o', 'remount,ro', here_now], check=True)
            one('read-only', here_now, contextlib.nullcontext())
    if mounts and command in (cli.sam2_video_convert, cli.sam2_video_export):      # over an earlier result
        with disk(here_now, used+there+8192):
            shutil.copytree(good, here_now, dirs_exist_ok=True)
            one('over an earlier one', here_now, contextlib.nullcontext(), [*words, '--overwrite'], files)
    here_now.mkdir(exist_ok=True)
    put(here_now)
    here_now.chmod(0o555)
    one('no permission', here_now, unprivileged())
    here_now.chmod(0o755)
    for size in ((0, biggest//2) if not long else (0, 100, biggest//4, biggest//2, biggest-1)):
        shutil.rmtree(here_now, ignore_errors=True)
        here_now.mkdir()
        put(here_now)
        one(f'ulimit {size}', here_now, limit(size))
        shutil.rmtree(here_now, ignore_errors=True)
    return failures, n

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('names', nargs='*')
    p.add_argument('--long', action='store_true', help='twelve sizes of disks and five limits, not three and two')
    a = p.parse_args()
    here = Path(tempfile.mkdtemp(prefix='disk-'))
    os.chdir(here)
    mounts, failures, tries, start = can_mount(here/'small'), [], 0, time.time()
    if not mounts: print('no right to mount a disk: only limits on files are tried')
    try:
        data = here/'data'
        write_synth(data, videos=5, frames=5, size=64)
        code, _, lines = call(cli.sam2_video_train, common(data)+[f'hydra.run.dir={here}/run', 'trainer.max_epochs=1',
            'trainer.enable_progress_bar=false', 'eval.baseline=false', 'visualization.enabled=false'])
        assert code==0, lines
        for name, (command, words, given) in commands(data, here/'run').items():
            if a.names and name not in a.names: continue
            f, n = try_command(name, command, words, given, here, mounts, a.long)
            failures, tries = failures+f, tries+n
    finally:
        os.chdir('/')
        shutil.rmtree(here, ignore_errors=True)
    for f in failures: print('FAILED', f)
    print(f'{tries} tries, {len(failures)} not as they must be ({time.time()-start:.0f} s)')
    return int(bool(failures))

if __name__=='__main__': sys.exit(main())
