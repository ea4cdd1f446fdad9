"""Several processes make one run: under Lightning's launcher, torchrun and srun (its variables), on two machines

.ci/many.py            a short form: 2 ranks under each launcher, one killed and gone on from by one process
.ci/many.py --long     2 and 4 ranks, killed, stopped, paused, with bad gradients, and on two network namespaces
.ci/many.py --long --only WORD ...     of these, those whose names have all these words: `2 ranks`, killed
"""
import argparse, contextlib, csv, json, os, shutil, signal, socket, subprocess, sys, tempfile, time
from pathlib import Path

bin_, batch = Path(sys.executable).parent, 4       # clips of a step, on all ranks together
common = ['data.synth_videos=6', 'data.synth_frames=5', 'data.image_size=64', 'trainer.accelerator=cpu',
    'trainer.precision=32-true', 'trainer.enable_progress_bar=false', 'trainer.log_every_n_steps=1',
    'eval.baseline=false', 'visualization.enabled=false', 'data.num_workers=0', 'trainer.max_epochs=2']
failed, jobs = [], []

def check(ok, what, shown=''):
    "One line; the script ends with exit code 1 where any is not so"
    print(('    ok   ' if ok else '    WRONG ') + what + (f' ({shown})' if shown else ''), flush=True)
    if not ok: failed.append(what)

def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s: return str(s.getsockname()[1])

class Job:
    "A training: its processes, its folder, what it prints"
    def __init__(self, where, launcher, n, more=(), machines=None, common=common, program=()):
        self.folder, self.launcher, self.n = Path(where), launcher, n
        self.folder.mkdir(parents=True)
        self.env = os.environ | dict(OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', MANY_JOB=str(self.folder))
        self.out = open(self.folder/'out', 'w+')
        words = [*(program or [f'{bin_}/sam2_video_train']), *common, f'data.batch_size={batch//n}', *more]
        if common: words += [f'output_dir={self.folder}/outputs', f'data.synth_dir={self.folder.parent}/videos']
        jobs.append(self)
        self.ps = getattr(self, launcher)(words, machines)

    def popen(self, words, **env):
        return subprocess.Popen(words, env=self.env | env, stdout=self.out, stderr=self.out, cwd=self.folder,
            start_new_session=True)

    def one(self, words, _): return [self.popen(words)]
    def lightning(self, words, _): return [self.popen([*words, f'trainer.devices={self.n}'])]
    def torchrun(self, words, machines):
        each = [f'{bin_}/torchrun', f'--nproc-per-node={self.n}', f'--master-port={free_port()}']
        if machines is None: return [self.popen([*each, *words])]
        return [self.popen([*inside, f'{bin_}/torchrun', '--nnodes=2', f'--node-rank={i}',
            f'--nproc-per-node={self.n//2}', f'--master-addr={machines[0][1]}', '--master-port=29400', *words],
            **wire) for i, (inside, _, wire) in enumerate(machines)]
    def srun(self, words, machines):
        n = self.n
        job = dict(SLURM_JOB_ID='1', SLURM_JOB_NAME='train', SLURM_NTASKS=str(n), SLURM_NTASKS_PER_NODE=str(n),
            SLURM_NNODES='1', SLURM_NODEID='0', SLURM_NODELIST='127.0.0.1', MASTER_PORT=free_port())
        return [self.popen(words, **job, SLURM_PROCID=str(r), SLURM_LOCALID=str(r)) for r in range(n)]

    def ranks(self):
        "rank → process id, of all that are there"
        found = {}
        for d in Path('/proc').iterdir():
            if not d.name.isdigit(): continue
            with contextlib.suppress(OSError, ValueError):
                words = (d/'cmdline').read_bytes()
                if b'sam2_video_train' not in words or b'multiprocessing' in words or b'/torchrun' in words: continue
                env = dict(e.split('=', 1) for e in (d/'environ').read_text().split('\0') if '=' in e)
                if env.get('MANY_JOB')!=str(self.folder): continue
                rank = env.get('RANK') or env.get('LOCAL_RANK') or env.get('SLURM_PROCID') or '0'
                found[int(rank)] = int(d.name)
        return found

    @property
    def runs(self): return sorted((self.folder/'outputs').glob('*/*/config.yaml'))
    @property
    def run(self): return self.runs[0].parent
    def status(self):
        with contextlib.suppress(OSError, ValueError, IndexError):
            return json.loads((self.run/'status.json').read_text())
        return {}

    def until(self, ready, seconds=300):
        "Wait for something"
        end = time.time() + seconds
        while time.time() < end:
            if ready(self.status()): return True
            if all(p.poll() is not None for p in self.ps): return False
            time.sleep(.05)
        return False

    def wait(self, seconds=600):
        "Exit codes; None for what hangs, which is ended"
        end, codes = time.time() + seconds, []
        for p in self.ps:
            try: codes.append(p.wait(max(end-time.time(), .1)))
            except subprocess.TimeoutExpired: codes.append(None)
        for pid in self.ranks().values(): os.kill(pid, signal.SIGKILL)
        for p in self.ps:
            if p.poll() is None: p.kill()
        return codes

    def said(self): return (self.folder/'out').read_text()
    def losses(self):
        with open(self.run/'metrics.csv') as f:
            return [float(r['train/loss']) for r in csv.DictReader(f) if r.get('train/loss')]
    def weights(self): return weights_of(self.run)

def weights_of(run):
    import torch
    sd = torch.load(run/'checkpoints/last.ckpt', weights_only=True, map_location='cpu')['state_dict']
    return torch.cat([v.flatten().double() for v in sd.values() if v.is_floating_point()])

def same_run(job, one, start=None):
    "Is it the run of one process?"
    a, b = job.losses(), one.losses()
    worst = max((abs(x-y)/abs(y) for x, y in zip(a, b)), default=1.)
    check(len(a)==len(b) and worst < 1e-3, 'the losses of one process, step by step', f'{len(a)} steps, {worst:.0e}')
    apart = float((job.weights()-one.weights()).norm()/one.weights().norm())
    check(apart < 1e-3, 'its weights', f'{apart:.0e}')
    jf = [json.loads((j.run/'metrics.json').read_text())['after']['JF'] for j in (job, one)]
    check(abs(jf[0]-jf[1]) < .02, 'its J&F', f'{jf[0]:.4f}, {jf[1]:.4f}')

def whole(job, one):
    "A run that comes to its end"
    codes = job.wait()
    check(codes==[0]*len(codes), 'ends well', codes)
    if any(codes): return print(job.said()[-3000:])
    check(len(job.runs)==1, 'one run folder', len(job.runs))
    hydra = [*job.folder.rglob('.hydra'), *job.folder.glob('*.log'), *job.folder.glob('multirun')]
    check(not hydra and {p.name for p in job.folder.iterdir()} <= {'out', 'outputs'}, 'and nothing beside it', hydra)
    check(job.said().count('\nreport: ')==1, 'one process speaks')
    same_run(job, one)

def cut(tmp):
    "The gradient cut within clips, batches added up and clipped: one reduction a step, and one run"
    more = ['model.bptt_frames=2', 'trainer.accumulate_grad_batches=2', 'trainer.gradient_clip_val=.1',
        'data.synth_frames=8', 'data.video_clip_length=6']
    one = Job(tmp/'cut/one', 'one', 1, more)
    check(one.wait()==[0], 'one process ends well')
    whole(Job(tmp/'cut/two', 'srun', 2, more), one)

def kill(where, launcher, n, victim, more=()):
    "A rank is killed in the second epoch: all end soon, with a word"
    job = Job(where, launcher, n, more)
    check(job.until(lambda s: s.get('step', 0) >= 4), 'trains')
    ranks = job.ranks()
    os.kill(ranks[victim], signal.SIGKILL)
    begin = time.time()
    while job.ranks() and time.time()-begin < 60: time.sleep(.1)
    took = time.time()-begin
    check(took < 10, f'rank {victim} of {n} killed: the others end', f'{took:.1f} s')
    codes = job.wait(20)
    check(all(codes) and None not in codes, 'not as if all was well', codes)
    check(f'rank {victim} of {n}' in job.said(), 'which one, is said', job.said().strip().splitlines()[-1][:160])
    check(job.status().get('state')=='failed', 'in the status, too', job.status().get('state'))
    return job

def go_on(job, where, launcher, n, one):
    "With another number of processes, and to the same end"
    more = [f'resume={job.run}', 'resume_allow=[data.batch_size]', *(['trainer.devices=1'] if launcher=='one' else [])]
    again = Job(where, launcher, n, more, common=())
    codes = again.wait()
    check(codes==[0]*len(codes), f'gone on from by {n}, {launcher}', codes)
    if any(codes): return print(again.said()[-3000:])
    check(not again.runs, 'in its folder')
    apart = float((weights_of(job.run)-one.weights()).norm()/one.weights().norm())
    check(apart < 1e-3, 'to the weights of a run that nobody killed', f'{apart:.0e}')

def stop(where, launcher, n, one, tmp):
    "SIGTERM to one rank in mid-epoch: all stop at that step; another number goes on in mid-epoch"
    job = Job(where, launcher, n)
    check(job.until(lambda s: s.get('step', 0) >= 1), 'trains')
    os.kill(job.ranks()[n-1], signal.SIGTERM)
    codes = job.wait(60)
    ends = all(c==143 for c in codes) if launcher!='torchrun' else None not in codes and all(codes)
    check(ends, 'SIGTERM to one rank ends all', codes)
    check((job.run/'checkpoints/last.ckpt').is_file(), 'with a checkpoint', f"step {job.status().get('step')}")
    go_on(job, tmp, 'one', 1, one)

def pause(where, launcher, n, one):
    "A pause holds all ranks, none of them in a collective that gives up"
    job = Job(where, launcher, n)
    check(job.until(lambda s: s.get('step', 0) >= 1), 'trains')
    (job.run/'please_pause').touch()
    check(job.until(lambda s: s.get('state')=='paused'), 'pauses')
    time.sleep(5)
    check(len(job.ranks())==n and job.status()['state']=='paused', 'holds')
    (job.run/'please_resume').touch()
    whole(job, one)

@contextlib.contextmanager
def two_machines():
    "Two network namespaces with a wire: (how to start there, address, environment) of each; None where not allowed"
    names, ip = [f'many{os.getpid() % 10000}{c}' for c in 'ab'], lambda *a: subprocess.run(['ip', *a], check=True,
        capture_output=True)
    try:
        try:
            for n in names: ip('netns', 'add', n)
            ip('link', 'add', f'{names[0]}v', 'netns', names[0], 'type', 'veth', 'peer', 'name', f'{names[1]}v',
                'netns', names[1])
            for i, n in enumerate(names, 1):
                for words in (('addr', 'add', f'10.77.0.{i}/24', 'dev', f'{n}v'), ('link', 'set', f'{n}v', 'up'),
                    ('link', 'set', 'lo', 'up')): ip('-n', n, *words)
            yield [(['ip', 'netns', 'exec', n], f'10.77.0.{i}', dict(GLOO_SOCKET_IFNAME=f'{n}v'))
                for i, n in enumerate(names, 1)]
        except (OSError, subprocess.CalledProcessError) as e:
            why = getattr(e, 'stderr', None) or str(e)
            print('    skipped: no network namespaces here:', why.decode().strip() if isinstance(why, bytes) else why)
            yield None
    finally:
        for n in names: subprocess.run(['ip', 'netns', 'del', n], capture_output=True)

def short(tmp, one):
    for launcher in ('lightning', 'srun'):
        print(f'2 ranks, {launcher}', flush=True)
        whole(Job(tmp/launcher, launcher, 2), one)
    print('2 ranks, srun, the gradient cut', flush=True)
    cut(tmp)
    print('2 ranks, torchrun, one is killed', flush=True)
    go_on(kill(tmp/'killed', 'torchrun', 2, 1), tmp/'again', 'one', 1, one)

spoilt = {3: 1, 4: 0, 7: 1, 12: 1, 13: 0, 21: 1}    # step → the rank whose gradient is not finite there

def spoil(words):
    "In a process of its own: a training whose gradients are spoilt; what each rank ends with goes to a file"
    import torch
    from sam2_video_nb.cli import sam2_video_train
    from sam2_video_nb.train.module import VideoModule
    def start(self):
        def hook(g):
            bad = spoilt.get(self.trainer.global_step+1)==self.global_rank
            return g*float('nan') if bad else g
        for p in self.parameters():
            if p.requires_grad: p.register_hook(hook)
    def stop(self):
        weights = torch.cat([p.detach().flatten() for p in self.parameters() if p.requires_grad])
        torch.save(dict(weights=weights, skipped=self.skipped), f'rank_{self.global_rank}.pt')
    VideoModule.on_train_start, VideoModule.on_train_end = start, stop
    sys.exit(sam2_video_train(words))

def skip(where, launcher, n):
    "Gradients that are not finite on one rank: all ranks skip the step, and have the same weights at the end"
    import torch
    more = ['callbacks.on_nan=skip', 'trainer.max_epochs=8', 'trainer.max_steps=24']
    job = Job(where, launcher, n, more, program=[sys.executable, __file__, '--spoil'])
    codes = job.wait()
    check(codes==[0]*len(codes), 'ends well', codes)
    if any(codes): return print(job.said()[-3000:])
    ends = [torch.load(job.folder/f'rank_{r}.pt') for r in range(n)]
    check([e['skipped'] for e in ends]==[len(spoilt)]*n, 'all skip what one cannot take', [e['skipped'] for e in ends])
    first = ends[0]['weights']
    same = bool(first.isfinite().all()) and all(torch.equal(first, e['weights']) for e in ends)
    check(same, 'with the same weights, to the bit', f'{first.numel()} finite numbers')
    kept = sorted(p.name for p in (job.run/'debug').iterdir())
    wanted = [f'step{t:06d}_process{r}.ckpt' for t in list(spoilt)[:3] for r in range(n)]     # three of a rank at most
    check(kept==wanted, 'and the batches of each rank kept', ' '.join(kept))

def figures(tmp, _):
    "What is measured does not depend on the ranks, nor does how many videos a limit leaves; J&F above 0"
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import kills
    other = 'output_dir', 'resume', 'data.val_path', 'data.batch_size'
    (tmp/'material').mkdir()
    words = [w for w in kills.material(tmp/'material') if not w.startswith(other)]
    words += [f'data.val_path={tmp}/material/data/train.json', 'trainer.limit_val_batches=5', 'trainer.max_steps=2',
        'visualization.enabled=false', 'data.num_workers=0']
    model = tmp/'material/pico.yaml'
    model.write_text(model.read_text().replace('dropout: 0.2', 'dropout: 0.0'))
    found = {}
    for launcher, n in (('one', 1), ('torchrun', 2), ('srun', 4)):
        job = Job(tmp/f'figures_{n}', launcher, n, common=words)
        codes = job.wait()
        check(codes==[0]*len(codes), f'{n} ranks end well', codes)
        if any(codes): return print(job.said()[-3000:])
        m = json.loads((job.run/'metrics.json').read_text())
        found[n] = {v: [m[k]['per_video'][v]['JF'] for k in ('before', 'after')] for v in m['after']['per_video']}
    check(len(found[1])==5 and all(set(o)==set(found[1]) for o in found.values()), 'a limit is of the whole run',
        ', '.join(f'{n}: {len(o)} videos' for n, o in found.items()))
    top = max(jf for o in found[1].values() for jf in o)
    apart = {n: max(abs(x-y) for v in found[1] for x, y in zip(found[1][v], o[v])) for n, o in found.items()}
    check(top > .02 and max(apart.values()) < 2e-3, 'J&F of each video', f'up to {top:.3f}; apart {apart}')

def long(tmp, one):
    "name -> what is tried under it"
    out = {}
    for n in (2, 4):
        for launcher in ('lightning', 'torchrun', 'srun'):
            out[f'{n} ranks, {launcher}'] = lambda n=n, to=launcher: whole(Job(tmp/f'{to}{n}', to, n), one)
    for n, launcher, victim, then in ((2, 'lightning', 1, ('one', 1)), (2, 'torchrun', 1, ('lightning', 2)),
        (2, 'srun', 1, ('one', 1)), (4, 'srun', 2, ('torchrun', 2)), (4, 'torchrun', 3, ('one', 1)),
        (2, 'srun', 0, ('srun', 4)), (2, 'lightning', 0, ('one', 1))):
        def killed(at=f'{launcher}{n}_{victim}', k=(launcher, n, victim), then=then):
            go_on(kill(tmp/f'killed_{at}', *k), tmp/f'again_{at}', *then, one)
        out[f'{n} ranks, {launcher}, rank {victim} is killed'] = killed
    for n, launcher in ((4, 'srun'), (2, 'lightning')):
        def stopped(n=n, to=launcher): stop(tmp/f'stopped_{to}', to, n, one, tmp/f'stopped_again_{to}')
        out[f'{n} ranks, {launcher}, stopped in mid-epoch'] = stopped
    out['2 ranks, srun, gradients spoilt'] = lambda: skip(tmp/'spoilt', 'srun', 2)
    out['2 ranks, torchrun, paused'] = lambda: pause(tmp/'paused', 'torchrun', 2, one)
    out['2 and 4 ranks, figures'] = lambda: figures(tmp, one)
    def machines():
        with two_machines() as machines:
            if machines: whole(Job(tmp/'machines', 'torchrun', 2, machines=machines), one)
    out['2 ranks on two machines, torchrun'] = machines
    return out

def main():
    if sys.argv[1:2]==['--spoil']: spoil(sys.argv[2:])
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--long', action='store_true')
    p.add_argument('--only', nargs='+', default=[], help='words')
    p.add_argument('--keep', help='folder to leave the runs in')
    a = p.parse_args()
    tmp = Path(a.keep or tempfile.mkdtemp()).resolve()
    try:
        print('one process', flush=True)
        one = Job(tmp/'one', 'one', 1)
        codes = one.wait()
        check(codes==[0], 'ends well', codes)
        if codes!=[0]: print(one.said()[-3000:])
        elif not a.long: short(tmp, one)
        else:
            for name, tried in long(tmp, one).items():
                if not all(o in name for o in a.only): continue
                print(name, flush=True)
                tried()
    finally:
        for job in jobs: job.wait(0)
        if not a.keep: shutil.rmtree(tmp, ignore_errors=True)
    print(f'{len(failed)} wrong' if failed else 'all well')
    sys.exit(bool(failed))

if __name__=='__main__': main()
