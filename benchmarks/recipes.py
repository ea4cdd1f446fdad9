"""Which recipe makes a better tracker: what trains, the reference's recipe and the old system's, over several seeds.

    python benchmarks/recipes.py built-in [--out FOLDER] [--seeds 0,1,2] [--only memory,full] [--steps 200] [--table]
    python benchmarks/recipes.py real --davis-train DIR --davis DIR --base nano_stills.safetensors [...]
    python benchmarks/recipes.py built-in --rates 3e-4,1e-3,3e-3 [...]     (first: which learning rate suits a recipe)

built-in: from the nano that comes with the package to the built-in cells, where what is remembered has to tell cells
of one look apart; reported on 40 longer videos of another seed. real: from --base (made on built-in videos and stills)
to 25 sequences of DAVIS's train split; reported on sequences of its val split, on which nothing is ever chosen.

Every recipe trains on the same clips for the same number of steps, and its last weights are scored: none is chosen.
Learning rates are chosen by --rates on videos that are neither trained on nor reported: 20 cells of a third seed, or
five sequences of DAVIS's train split. A recipe that was not tried takes the rate of the one that it is a kind of.
A run's figures are kept as FOLDER/PROTOCOL/RECIPE_SEED.json and a run that is there is skipped, so that many can be
spread over days (one of other weights, steps or size is made again); --table prints what is there. The page
nbs/benchmarks/recipes.ipynb reads the same files.
"""
import argparse, json, statistics, tempfile, time
from contextlib import contextmanager, nullcontext
from pathlib import Path
import torch

here = Path(__file__).resolve().parent/'recipes'
rate = 1e-3      # of what trains with nano, where none was tried; the reference's are in the ratio of its own recipe
ours = {
    'memory': ['recipe=memory'],
    'memory+decoder': ['recipe=memory+decoder'],
    'decoder': ['recipe=decoder'],
    'lora': ['recipe=lora'],
    'full': ['recipe=full'],
    # what nano does where nobody says anything: everything, without the layer decay of `full`, at its own rate
    'default': [],
    # what the old system did: memories without a gradient, so that nothing reaches what makes them
    'detached memory': ['recipe=memory', 'model.audit_gradients=false']}
recipes = ['zero-shot', *ours, 'reference']
its_own_rate = {'default': {'built-in': 1e-3, 'real': 3e-4}}
kind_of = {'memory+decoder': 'memory', 'decoder': 'memory', 'lora': 'full', 'detached memory': 'memory'}
selection = ('rhino', 'surf', 'swing', 'tennis', 'train')    # of DAVIS's train split: to steer by, not trained on

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('protocol', choices=('built-in', 'real'))
    p.add_argument('--out', default=str(here), help="folder of the figures")
    p.add_argument('--seeds', default='0,1,2')
    p.add_argument('--only', help="recipes, by commas; else all")
    p.add_argument('--steps', type=int, help="of the optimizer; else 200 built-in, 400 real")
    p.add_argument('--size', type=int, help="input in pixels; else 128 built-in, 192 real")
    p.add_argument('--batch', type=int, help="clips of a step; else 4 built-in, 2 real")
    p.add_argument('--base', default='nano', help="weights to start from")
    p.add_argument('--davis-train', help="DAVIS folder: its train split")
    p.add_argument('--davis', help="DAVIS folder: its val split, to report on")
    p.add_argument('--rates', help="learning rates to try, by commas, on the videos to choose by; reports nothing")
    p.add_argument('--policies', action='store_true', help="score what is remembered in other ways, too")
    p.add_argument('--table', action='store_true', help="print what is there, run nothing")
    a = p.parse_args()
    a.size = a.size or (128 if a.protocol=='built-in' else 192)
    a.steps = a.steps or (200 if a.protocol=='built-in' else 400)
    a.batch = a.batch or (4 if a.protocol=='built-in' else 2)
    unknown = set(a.only.split(','))-set(recipes) if a.only else ()
    if unknown: p.error(f"no such recipe: {', '.join(sorted(unknown))}; there are {', '.join(recipes)}")
    if a.protocol=='real' and not a.table and not (a.davis_train and (a.davis or a.rates)):
        p.error('real: give --davis-train and --davis')
    return a

def data_of(a, folder):
    "(JSON to train on, JSON to report on, or to choose by)"
    from sam2_video_nb.data.convert import convert_davis
    from sam2_video_nb.data.synth import write_synth
    folder = Path(folder)
    if a.protocol=='built-in':
        made = dict(size=a.size, kind='cells')
        train, _ = write_synth(folder/'train', videos=81, frames=12, seed=0, val_fraction=1/81, **made)
        n, seed = (20, 2) if a.rates else (40, 1)
        _, test = write_synth(folder/'test', videos=n+1, frames=20, seed=seed, val_fraction=n/(n+1), **made)
        return train, test
    def davis(top, out):
        level = next(p for p in sorted((Path(top)/'JPEGImages').iterdir()) if p.is_dir()).name
        return convert_davis(top, out, resolution=level, link=True, progress=False)[0]
    every = davis(a.davis_train, folder/'train')
    train = some_of(every, lambda v: v not in selection, folder/'train'/'to_train.json')
    if a.rates: return train, some_of(every, lambda v: v in selection, folder/'train'/'selection.json')
    return train, davis(a.davis, folder/'davis')

def some_of(path, wanted, out):
    "The videos of a COCO-video JSON that are wanted"
    d = json.loads(Path(path).read_text())
    d['videos'] = [v for v in d['videos'] if wanted(v['id'])]
    d['images'] = [o for o in d['images'] if wanted(o['video_id'])]
    there = {o['id'] for o in d['images']}
    d['annotations'] = [o for o in d['annotations'] if o['image_id'] in there]
    out.write_text(json.dumps(d))
    return out

def settings(a, train, seed, folder, rate):
    "What all recipes have in common"
    return [f'data.train_path={train}', 'data.val_path=none', f'data.image_size={a.size}', f'data.batch_size={a.batch}',
        'data.max_objects=3', 'prompts.prompt_type=mask', 'model.config_path=nano', f'model.checkpoint_path={a.base}',
        'trainer.accelerator=cpu', f'trainer.max_steps={a.steps}', 'trainer.max_epochs=-1', f'optimizer.lr={rate}',
        'eval.baseline=false', 'visualization.enabled=false', 'trainer.enable_progress_bar=false', 'log_level=error',
        'callbacks.early_stopping_patience=0', f'seed={seed}', f'hydra.run.dir={folder}', f'output_dir={folder}']

def clocks(): return time.perf_counter(), time.process_time()

def since(began):
    wall, cpu = clocks()
    return dict(seconds=wall-began[0], cpu_seconds=cpu-began[1])

def run_ours(a, recipe, seed, train, folder, rate):
    "(weights after training, what is to be told)"
    from sam2_video_nb.config import load_cfg
    from sam2_video_nb.model.weights import read_start
    from sam2_video_nb.train.trainer import train as train_it
    if recipe=='zero-shot': return read_start(a.base, 'nano', a.size), {}
    cfg = load_cfg(ours[recipe] + settings(a, train, seed, folder, rate))
    began = clocks()
    with detached() if recipe=='detached memory' else nullcontext(): r = train_it(cfg)
    if r.metrics['steps'] < a.steps: raise SystemExit(f"{recipe}: stopped after {r.metrics['steps']} steps: not kept")
    told = since(began) | dict(trained=len(r.module.model.trains))
    return read_start(r.folder/'checkpoints'/'last.ckpt', 'nano', a.size), told | counted_ours(r.module, cfg)

@contextmanager
def detached():
    "Models that are made meanwhile keep memories without a gradient"
    import sam2_video_nb.train.module as module
    build = module.build_model
    def built(*args, **kw):
        model = build(*args, **kw)
        hook = lambda m, args, out: out | dict(vision_features=out['vision_features'].detach())
        model.sam2.memory_encoder.register_forward_hook(hook)
        return model
    module.build_model = built
    try: yield
    finally: module.build_model = build

def counted_ours(module, cfg):
    "Live bytes of a step of the run's own clips"
    from sam2_video_nb.data.clips import ready
    from sam2_video_nb.model.cost import step_cost
    batch = ready(next(iter(module.trainer.train_dataloader)))
    model = module.model.train()
    cost = step_cost(model, module.loss, batch, module.policy.for_batch(batch), once=True)
    return dict(kept_mib=cost.kept/2**20, peak_mib=cost.peak/2**20)

class Reference:
    "SAM2Train of the sam2 package as its fine-tuning recipe sets it up, on our clips"
    def __init__(self, a):
        from hydra.utils import instantiate
        from training.loss_fns import MultiStepMultiMasksAndIous
        from sam2_video_nb.model.sam2 import model_config
        from sam2_video_nb.model.weights import read_start
        c = model_config('nano', a.size)
        c._target_ = 'training.model.sam2.SAM2Train'
        # configs/sam2.1_training/sam2.1_hiera_b+_MOSE_finetune.yaml
        self.model = instantiate(c, freeze_image_encoder=False, prob_to_use_pt_input_for_train=.5,
            prob_to_use_box_input_for_train=.5, prob_to_sample_from_gt_for_train=.1, num_frames_to_correct_for_train=2,
            rand_frames_to_correct_for_train=True, add_all_frames_to_correct_as_cond=True,
            num_init_cond_frames_for_train=2, rand_init_cond_frames_for_train=True, num_correction_pt_per_frame=7)
        self.model.load_state_dict(read_start(a.base, 'nano', a.size).weights)
        self.model.train()
        self.loss = MultiStepMultiMasksAndIous(dict(loss_mask=20, loss_dice=1, loss_iou=1, loss_class=1),
            supervise_all_iou=True, iou_use_l1_loss=True, pred_obj_scores=True, focal_gamma_obj_score=0.,
            focal_alpha_obj_score=-1.)

    def __call__(self, batch):
        from sam2_video_nb.data.clips import ready
        from training.utils.data_utils import BatchedVideoDatapoint, BatchedVideoMetaData
        batch = ready(batch)
        T, O, H, W = batch.masks.shape
        ids = torch.stack([torch.arange(T)[:,None].expand(T, O), batch.obj_to_video[None].expand(T, O)], -1)
        about = BatchedVideoMetaData(unique_objects_identifier=torch.zeros(T, O, 3, dtype=torch.long),
            frame_orig_size=torch.full((T, O, 2), H), batch_size=[T])
        clip = BatchedVideoDatapoint(img_batch=batch.images.transpose(0, 1), obj_to_frame_idx=ids.int(),
            masks=batch.masks.bool(), metadata=about, dict_key='all', batch_size=[T])
        return self.loss(self.model(clip), clip.masks)['core_loss']

def run_reference(a, seed, train, folder, rate):
    "The same clips and steps by the reference's model, losses and rates"
    import random
    import numpy as np
    from sam2_video_nb.config import OptimizerConf, SchedulerConf, load_cfg
    from sam2_video_nb.data.clips import VideoClips, clip_loader
    from sam2_video_nb.data.coco import CocoVideo
    from sam2_video_nb.model.weights import Start
    from sam2_video_nb.train.optim import make_optimizer, make_schedule, param_groups
    random.seed(seed); np.random.seed(seed); torch.manual_seed(seed)
    cfg, step = load_cfg(settings(a, train, seed, folder, rate)), Reference(a)
    # its rates: 5e-6, and 3e-6 with a layer decay of 0.9 for the image encoder
    how = OptimizerConf(lr=rate, weight_decay=.1, layer_decay=.9,
        groups={'image_encoder*': dict(lr=.6*rate, weight_decay=.1)})
    opt = make_optimizer(param_groups(step.model, dict(step.model.named_parameters()), how), how)
    schedule = make_schedule(opt, SchedulerConf(type='cosine', warmup_steps=0, eta_min=rate/10), a.steps)
    cfg.data.num_workers = 0
    clips, done, began = VideoClips(CocoVideo(train), cfg.data, train=True, seed=seed), 0, clocks()
    loader = clip_loader(clips, cfg.data, True)
    while done < a.steps:
        for batch in loader:
            opt.zero_grad()
            step(batch).backward()
            torch.nn.utils.clip_grad_norm_(step.model.parameters(), .1)
            opt.step(); schedule.step()
            done += 1
            if done==a.steps: break
    told = since(began) | dict(trained=len(list(step.model.parameters())))
    from sam2_video_nb.model.cost import LiveBytes
    live = LiveBytes([*step.model.parameters(), *step.model.buffers()])
    with live:
        loss = step(batch)
        told['kept_mib'] = live.now/2**20
        loss.backward()
    told['peak_mib'] = live.peak/2**20
    return Start(step.model.state_dict(), {}, 'nano', a.size), told

def scored(start, test, memory='window'):
    "A `Score` as a dict for each object of each video, from the mask of its first frame at the video's size"
    from sam2_video_nb.config import PredictConf, PromptConf
    from sam2_video_nb.data.coco import CocoVideo
    from sam2_video_nb.model.sam2 import load_model
    from sam2_video_nb.track.tracker import Scoring, score_video
    model, coco, how = load_model(start, device='cpu'), CocoVideo(test), Scoring(prompts=PromptConf(prompt_type='mask'))
    conf = PredictConf(memory=memory)
    found = [s for v in coco.videos for s in score_video(model, coco, v, how.policy, conf=conf)]
    def plain(s):
        return {k: round(getattr(s, k), 4) for k in ('J', 'F', 'JF')} | dict(video=str(s.video), obj=str(s.obj))
    return [plain(s) for s in found]

def alike(o):
    "What runs of one table have in common: the weights that they began from, steps, clips of a step and size"
    return o['begun'], o.get('steps'), o.get('batch', 4), o.get('size')

def ways_of(a): return ('window', 'quality', 'tree') if a.policies else ('window',)

def is_done(a, file, begun, rate):
    "Is there such a run already, scored in all ways that are asked for"
    if not file.exists(): return False
    o = json.loads(file.read_text())
    return alike(o)==(begun, a.steps, a.batch, a.size) and o.get('rate', 1e-3)==rate and {*ways_of(a)} <= {*o['scores']}

def rates_tried(a, begun):
    "{recipe: {learning rate: J&F on the videos to choose by}}"
    found = {}
    for file in sorted((Path(a.out)/f'{a.protocol}_rates').glob('*.json')):
        o = json.loads(file.read_text())
        if alike(o)==(begun, a.steps, a.batch, a.size):
            found.setdefault(o['recipe'], {})[o['rate']] = mean(o['scores']['window'])
    return found

def chosen_rate(recipe, tried, protocol):
    "The rate that did best, of the recipe or of what it is a kind of; its own where it has one"
    if recipe in its_own_rate: return its_own_rate[recipe][protocol]
    by_rate = tried.get(recipe) or tried.get(kind_of.get(recipe)) or {rate: 0}
    return max(by_rate, key=by_rate.get)

def run(a, recipe, seed, data, file, begun, rate):
    "One run, kept as JSON"
    train, test = data
    with tempfile.TemporaryDirectory() as folder:
        start, told = run_reference(a, seed, train, folder, rate) if recipe=='reference' else \
            run_ours(a, recipe, seed, train, Path(folder)/'run', rate)
        out = dict(recipe=recipe, seed=seed, rate=rate, steps=a.steps, batch=a.batch, size=a.size,
            base=Path(a.base).name, begun=begun, **told, scores={way: scored(start, test, way) for way in ways_of(a)})
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(out))
    return out

def mean(scores, key='JF'): return statistics.fmean(s[key] for s in scores)

def over_seeds(runs):
    "The scores of each object, their J&F a mean over several runs"
    return [dict(s, JF=statistics.fmean(o[i]['JF'] for o in runs)) for i, s in enumerate(runs[0])]

def rows(folder, way='window'):
    "A row for each recipe that has a run: means over seeds, spread, and gains with their intervals"
    from sam2_video_nb.core import generator
    from sam2_video_nb.track.tables import difference
    found = {r: [json.loads(f.read_text()) for f in sorted(folder.glob(f'{r}_*.json'))] for r in recipes}
    table = {alike(o) for o in found['zero-shot']}           # what is not like it belongs to another table
    found = {r: [o for o in runs if way in o['scores'] and alike(o) in table] for r, runs in found.items()}
    over = {r: over_seeds([o['scores'][way] for o in runs]) for r, runs in found.items() if runs}
    for r, runs in found.items():
        if not runs: continue
        all_ = [o['scores'][way] for o in runs]
        row = dict(recipe=r, seeds=len(runs), way=way, rate=runs[0].get('rate', rate))
        for k in ('J', 'F', 'JF'):
            each = [mean(s, k) for s in all_]
            row[k], row[f'{k}_spread'] = statistics.fmean(each), statistics.stdev(each) if len(each) > 1 else None
        for k, than in dict(gain='zero-shot', lead='reference').items():
            if than in over and r not in ('zero-shot', than): row[k] = difference(over[than], over[r], gen=generator(0))
        for k in ('seconds', 'cpu_seconds', 'kept_mib', 'peak_mib', 'steps', 'size'):
            if k in runs[0]: row[k] = statistics.median(o[k] for o in runs)
        yield row

def table(found):
    "The rows in Markdown"
    def figure(row, k):
        spread = row[f'{k}_spread']
        return f'{row[k]:.3f}' + ('' if spread is None else f' ± {spread:.3f}')
    def apart(g): return f"{g['JF']:+.3f} ({g['low']:+.3f} to {g['high']:+.3f})" if g else ''
    head = ['recipe', 'rate', 'remembers', 'seeds', 'J', 'F', 'J&F', 'over zero-shot (95 %)',
        'over the reference (95 %)', 'CPU s', 'kept MiB']
    yield f"| {' | '.join(head)} |\n|{'---|'*len(head)}"
    for row in found:
        cost = [f"{row[k]:.0f}" if k in row else '' for k in ('cpu_seconds', 'kept_mib')]
        at = '' if row['recipe']=='zero-shot' else f"{row['rate']:g}"
        figures = [figure(row, k) for k in ('J', 'F', 'JF')]
        cells = [row['recipe'], at, row['way'], str(row['seeds']), *figures, apart(row.get('gain')),
            apart(row.get('lead')), *cost]
        yield '| ' + ' | '.join(cells) + ' |'

def to_do(a, tried):
    "(recipe, seed, learning rate) of each run, and the name of its file"
    wanted = a.only.split(',') if a.only else recipes
    if a.rates:
        tries = map(float, a.rates.split(','))
        runs = [(f'{r}_{lr:g}', r, 0, lr) for lr in tries for r in wanted if r!='zero-shot']
        return [('zero-shot_0', 'zero-shot', 0, rate), *runs]                # what they are to be better than
    runs = [(r, s) for s in map(int, a.seeds.split(',')) for r in wanted if not (r=='zero-shot' and s)]
    return [(f'{r}_{s}', r, s, chosen_rate(r, tried, a.protocol)) for r, s in runs]

def rates_table(folder):
    "What was tried, in Markdown: J&F on the videos to choose by"
    tried = [json.loads(f.read_text()) for f in sorted(Path(folder).glob('*.json'))]
    at = {(o['recipe'], o['rate']): f"{mean(o['scores']['window']):.3f}" for o in tried}
    rates = sorted({lr for r, lr in at if r!='zero-shot'})
    yield f"| recipe | {' | '.join(f'{lr:g}' for lr in rates)} |\n|---|{'---|'*len(rates)}"
    for r in recipes[1:]:
        if any((r, lr) in at for lr in rates): yield f"| {r} | {' | '.join(at.get((r, lr), '') for lr in rates)} |"
    yield f"| zero-shot | {' | '.join(jf for (r, _), jf in at.items() if r=='zero-shot')} |"

def policies_table(*folders):
    "What is remembered in which way, in Markdown: J&F of each run that was scored in several"
    files = [f for folder in folders for f in sorted(Path(folder).glob('*.json'))]
    runs = [(f.parent.name, json.loads(f.read_text())) for f in files]
    runs = [(where, o) for where, o in runs if len(o['scores']) > 1]
    ways = list(runs[0][1]['scores']) if runs else []
    yield f"| protocol | after | {' | '.join(ways)} |\n|---|---|{'---|'*len(ways)}"
    for where, o in runs:
        figures = ' | '.join(f"{mean(o['scores'][way]):.3f}" for way in ways)
        yield f"| {where.removesuffix('_rates')} | {o['recipe']} | {figures} |"

def main():
    a = arguments()
    folder = Path(a.out)/(a.protocol + ('_rates' if a.rates else ''))
    if not a.table:
        from sam2_video_nb.model.weights import read_start, weights_hash
        begun = weights_hash(read_start(a.base, 'nano', a.size).weights)
        with tempfile.TemporaryDirectory() as tmp:
            data = data_of(a, tmp)
            for name, recipe, seed, lr in to_do(a, rates_tried(a, begun)):
                file = folder/f'{name}.json'
                if is_done(a, file, begun, lr): continue
                out = run(a, recipe, seed, data, file, begun, lr)
                said = ', '.join(f"{way} J&F {mean(s):.3f}" for way, s in out['scores'].items())
                print(f"{name} at rate {lr:g}: {said}, {out.get('cpu_seconds', 0):.0f} CPU s", flush=True)
    if a.rates: return print('\n'.join(rates_table(folder)))
    found = [r for way in ('window', 'quality', 'tree') for r in rows(folder, way)]
    print('\n'.join(table(found)))

if __name__ == '__main__': main()
