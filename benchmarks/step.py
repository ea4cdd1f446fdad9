"""Our training step beside the reference's (SAM2Train of the sam2 package): seconds, live bytes, FLOPs.

    python benchmarks/step.py --arch tiny --size 256 --frames 8 --objects 3 --mode exact|lean|frame
        [--precision 32-true] [--reference-precision bf16-mixed] [--tokens 0.5] [--object-chunk N] [--bptt N]
        [--encoder-precision bf16]
        [--threads N] [--device cpu] [--prompt mask|point|box] [--features warm] [--repeats 3] [--davis DIR]
        [--json OUT.json]

Both sides get the same weights, clip, prompts and trainable parameters (the memory modules), and run in processes of
their own that take turns. The reference and `exact` are in full precision; `lean` and `frame` are as we recommend, in
bfloat16 where the device computes in it, else in full precision; --precision (ours) and --reference-precision say
otherwise, and the table says which it was. Before anything is timed, both must give the same loss in exact mode, in
full precision and with dropout off. Live bytes are those of all distinct storages made after the optimizer: `kept` at
the end of the forward pass, `peak` over the whole step. They and the FLOPs are free of noise; times are medians of
alternated runs, of the clock and of the processor. A weight counts as soon as a view of it is made, on both sides;
`made_kept_mib` and `made_peak_mib` are without them. `--repeats 0` counts alone, and times nothing.
"""
import argparse, json, statistics, subprocess, sys, time
from dataclasses import replace
from pathlib import Path
import torch

root = Path(__file__).resolve().parent.parent
# Settings of model.* by mode: as the reference trains; as we recommend; with the least memory
modes = dict(exact={}, lean=dict(attention_dropout=False),
    frame=dict(attention_dropout=False, activation_checkpointing='frame'))

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--arch', default='tiny', choices=('nano', 'tiny', 'small', 'base_plus', 'large'))
    p.add_argument('--size', type=int, default=256, help="side of the square, pixels")
    p.add_argument('--frames', type=int, default=8)
    p.add_argument('--objects', type=int, default=3)
    p.add_argument('--mode', choices=modes, default='exact')
    p.add_argument('--tokens', type=float, default=1., help="ours: model.memory_token_keep")
    p.add_argument('--object-chunk', type=int, help="ours: model.object_chunk")
    p.add_argument('--encoder-precision', choices=('full', 'bf16'), default='full',
        help="ours: model.encoder_precision")
    p.add_argument('--bptt', type=int, help="ours: model.bptt_frames")
    p.add_argument('--precision', choices=('32-true', 'bf16-mixed'), help="ours; empty: by the mode and the device")
    p.add_argument('--reference-precision', choices=('32-true', 'bf16-mixed'), default='32-true')
    p.add_argument('--features', choices=('cold', 'warm'), default='cold',
        help="warm: ours are kept from an earlier step")
    p.add_argument('--prompt', choices=('mask', 'point', 'box'), default='mask')
    p.add_argument('--repeats', type=int, default=3, help="timed runs of each side, alternated; 0: none")
    p.add_argument('--threads', type=int, default=0, help="0: as PyTorch chooses")
    p.add_argument('--device', default='cpu')
    p.add_argument('--davis', help="a DAVIS folder to take the clip from; else built-in videos")
    p.add_argument('--json', help="where the figures go as JSON")
    p.add_argument('--side', choices=('ours', 'reference'), help=argparse.SUPPRESS)
    p.add_argument('--what', choices=('loss', 'count', 'time'), help=argparse.SUPPRESS)
    a = p.parse_args()
    a.precision = a.precision or ('32-true' if a.mode=='exact' else recommended_precision(a.device))
    return a

def recommended_precision(device):
    "bf16-mixed where the device computes in bfloat16, else 32-true"
    from sam2_video_nb.model.sam2 import default_precision
    if device!='cpu': return default_precision()
    known = getattr(torch.cpu, 'get_capabilities', dict)()         # newer PyTorch has it
    return 'bf16-mixed' if known.get('amx_bf16') else '32-true'

def clip_batch(a):
    "One clip in which every object is visible on the first frame"
    import tempfile
    from sam2_video_nb.config import DataConf
    from sam2_video_nb.data.clips import VideoClips, collate
    from sam2_video_nb.data.coco import CocoVideo
    from sam2_video_nb.data.convert import convert_davis
    from sam2_video_nb.data.synth import write_synth
    folder = Path(tempfile.gettempdir())/f'sam2_video_nb_step_{a.size}_{a.frames}_{a.objects}'
    if a.davis: path = convert_davis(a.davis, folder/'davis', overwrite=True, progress=False)[0]
    else:
        shown = dict(n_objects=(a.objects, a.objects), p_late=0)
        path = write_synth(folder, videos=8, frames=a.frames, size=a.size, **shown)[0]
    conf = DataConf(image_size=a.size, video_clip_length=a.frames, random_start=False, max_objects=a.objects)
    clips = VideoClips(CocoVideo(path), conf, train=False)
    clip = next((c for c in map(clips.__getitem__, range(len(clips))) if c.n_objects==a.objects), None)
    if clip is None: sys.exit(f'no clip of {a.objects} objects in {path}: choose other --objects')
    return collate([clip])

def prompts_of_batch(a, batch):
    from sam2_video_nb.config import PromptConf
    from sam2_video_nb.model.prompts import PromptPolicy
    return PromptPolicy(PromptConf(prompt_type=a.prompt), train=False).for_batch(batch)

def ours(a, batch, dropout=True):
    "(a function that gives the loss of a step, its model)"
    from sam2_video_nb.config import ModelConf
    from sam2_video_nb.model.losses import VideoLoss
    from sam2_video_nb.model.sam2 import build_model
    other = dict(memory_token_keep=a.tokens, object_chunk=a.object_chunk, bptt_frames=a.bptt,
        encoder_precision=a.encoder_precision) if dropout else {}
    trains = ['memory_attention', 'memory_encoder']
    conf = ModelConf(config_path=a.arch, checkpoint_path='random', trainable_modules=trains, **modes[a.mode],
        **other)      # the losses are compared without them
    model = build_model(conf, a.size).train().to(a.device)
    if not dropout: no_dropout(model)
    loss = VideoLoss()
    batch, prompts = batch.to(a.device), prompts_of_batch(a, batch)
    if a.features=='warm': keep_features(model, batch, prompts)
    def step(outs=False): return (model(batch, prompts), loss) if outs else loss(model(batch, prompts), batch)['loss']
    return step, model

def keep_features(model, batch, prompts):
    "As in a second epoch with data.feature_cache=ram"
    from sam2_video_nb.model.features import FeatureCache, InMemory
    model.features, batch.prints = FeatureCache(InMemory(2**40)), [[str(t) for t in range(batch.n_frames)]]
    with torch.no_grad(): model(batch, prompts)

def reference(a, batch, dropout=True):
    "The same of the reference, trained as Meta's configs do, but from one prompt alone"
    import training.model.sam2 as theirs
    from hydra.utils import instantiate
    from training.loss_fns import MultiStepMultiMasksAndIous
    from training.utils.data_utils import BatchedVideoDatapoint, BatchedVideoMetaData
    from sam2_video_nb.config import ModelConf
    from sam2_video_nb.model.sam2 import build_model, model_config, set_trainable
    c = model_config(a.arch, a.size)
    c._target_ = 'training.model.sam2.SAM2Train'
    model = instantiate(c, freeze_image_encoder=True, num_correction_pt_per_frame=0,
        prob_to_use_pt_input_for_train=float(a.prompt!='mask'), prob_to_use_box_input_for_train=float(a.prompt=='box'))
    begun = build_model(ModelConf(config_path=a.arch, checkpoint_path='random'), a.size)     # as ours begins
    model.load_state_dict(begun.sam2.state_dict())
    set_trainable(model, ['memory_attention', 'memory_encoder'])
    model.train().to(a.device)
    model.image_encoder.eval()
    if not dropout: no_dropout(model)
    points = given_points(a, batch)
    theirs.get_next_point = theirs.sample_box_points = lambda *args, **kw: points       # the same prompts as ours
    prepare = model.prepare_prompt_inputs
    model.prepare_prompt_inputs = lambda *args: prepare(*args) | dict(frames_to_add_correction_pt=[])
    loss = MultiStepMultiMasksAndIous(dict(loss_mask=20, loss_dice=1, loss_iou=1, loss_class=1), supervise_all_iou=True,
        iou_use_l1_loss=True, pred_obj_scores=True)
    T, O = batch.masks.shape[:2]
    ids = torch.stack([torch.arange(T)[:,None].expand(T, O), torch.zeros(T, O, dtype=torch.long)], -1)
    about = BatchedVideoMetaData(unique_objects_identifier=torch.zeros(T, O, 3, dtype=torch.long),
        frame_orig_size=torch.full((T, O, 2), a.size), batch_size=[T])
    clip = BatchedVideoDatapoint(img_batch=batch.images.transpose(0, 1), obj_to_frame_idx=ids.int(), masks=batch.masks,
        metadata=about, dict_key='all', batch_size=[T]).to(a.device)
    def step(first=0): return loss(model(clip)[first:], clip.masks[first:])['core_loss']
    return step, model

def given_points(a, batch):
    "Our point or box prompts as the reference calls them"
    if a.prompt=='mask': return None
    prompts = prompts_of_batch(a, batch)
    pts, labels = (torch.stack([getattr(p, k) for p in prompts]).to(a.device) for k in ('pts', 'labels'))
    return pts.float(), labels.int()

def believed_present(sam2):
    "Where random weights say that an object is absent, the reference's loss sees no mask, and ours does: say present"
    with torch.no_grad(): sam2.sam_mask_decoder.pred_obj_score_head.layers[-1].bias += 10

def no_dropout(model):
    for m in model.modules():
        if isinstance(m, torch.nn.Dropout): m.p = 0.
        if hasattr(m, 'dropout_p'): m.dropout_p = 0.

def same_loss(a, batch, side):
    """The loss of one side with dropout off, as a sum over frames of a mean over objects.

    A frame whose mask was given is left out: nothing is predicted there, and the reference compares
    the mask with itself at full size where we compare it as the decoder's output is, a quarter of that."""
    first = int(a.prompt=='mask')
    step, model = (ours if side=='ours' else reference)(a, batch, dropout=False)
    believed_present(getattr(model, 'sam2', model))
    if side=='reference': return step(first).item()
    outs, loss = step(outs=True)
    rest = replace(batch.to(a.device), **{k: getattr(batch, k)[first:].to(a.device) for k in ('masks', 'state')},
        images=batch.images[:,first:].to(a.device), valid=batch.valid[:,first:].to(a.device))
    terms = loss(outs[first:], rest)
    n = dict.fromkeys(terms, (rest.state==1).sum()) | dict(presence=(rest.state>=0).sum())
    return sum(loss.weights[k]*v*n[k]/batch.n_objects for k, v in terms.items() if k!='loss').item()

def run_side(a):
    "What one process measures, as JSON on its last line"
    if a.threads: torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    batch = clip_batch(a)
    if a.what=='loss': return dict(loss=same_loss(a, batch, a.side))
    step, model = (ours if a.side=='ours' else reference)(a, batch)
    step = in_its_precision(step, a, a.side)
    opt = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-6)
    return counted(step, model, opt) if a.what=='count' else timed(a, step, opt)

def in_its_precision(step, a, side):
    "The step as that side computes it"
    from sam2_video_nb.model.sam2 import in_precision
    precision = a.precision if side=='ours' else a.reference_precision
    def narrow():
        with in_precision(a.device, precision): return step()
    return narrow

def counted(step, model, opt):
    "Live bytes and FLOPs of a step"
    from sam2_video_nb.model.cost import LiveBytes
    live = LiveBytes([*model.parameters(), *model.buffers()])
    with live:
        loss = step()
        kept, made, forward = live.now, live.made, sum(live.flops.values())
        loss.backward()
    mib, total = dict(kept=kept, peak=live.peak, made_kept=made, made_peak=live.made_peak), sum(live.flops.values())
    out = {f'{k}_mib': v/2**20 for k, v in mib.items()}
    out['n_trained'] = sum(p.requires_grad for g in opt.param_groups for p in g['params'])
    return out | dict(gflop=total/1e9, gflop_forward=forward/1e9, gflop_backward=(total-forward)/1e9)

def timed(a, step, opt):
    "Seconds of one step, after one to warm up; the allocator's peak on CUDA"
    def once():
        opt.zero_grad()
        start, used = time.perf_counter(), time.process_time()
        step().backward()
        opt.step()
        if a.device!='cpu': torch.cuda.synchronize()
        return dict(seconds=time.perf_counter()-start, cpu_seconds=time.process_time()-used)
    once()
    if a.device!='cpu': torch.cuda.reset_peak_memory_stats()
    out = once()
    if a.device!='cpu': out['allocated_mib'] = torch.cuda.max_memory_allocated()/2**20
    return out

def ask(a, side, what, **other):
    "Measure in a process of its own"
    keep = {k: v for k, v in vars(a).items() if k not in ('json', 'side', 'what', 'repeats') and v is not None} | other
    line = [x for k, v in keep.items() for x in (f"--{k.replace('_', '-')}", str(v))]
    line += ['--side', side, '--what', what]
    r = subprocess.run([sys.executable, __file__, *line], capture_output=True, text=True)
    if r.returncode: sys.exit(f'{side}, {what}: {r.stderr[-2000:]}')
    return json.loads(r.stdout.splitlines()[-1])

def compare(a):
    "All figures of both sides"
    loss = {s: ask(a, s, 'loss', mode='exact')['loss'] for s in ('ours', 'reference')}
    difference = abs(loss['ours']-loss['reference'])/abs(loss['reference'])
    if difference > 1e-4: sys.exit(f'the losses differ by {difference:.1e}: {loss}; nothing was measured')
    out = {s: ask(a, s, 'count') for s in ('ours', 'reference')}
    times = {s: [] for s in out}
    for _ in range(a.repeats):
        for s in out: times[s].append(ask(a, s, 'time'))
    for s, measured in times.items():
        for k in measured[0] if measured else (): out[s][k] = statistics.median(m[k] for m in measured)
    compared = [k for k in out['ours'] if k!='n_trained' and k in out['reference']]
    out['ratio'] = {k: out['ours'][k]/out['reference'][k] for k in compared}
    given = {k: v for k, v in vars(a).items() if k not in ('side', 'what')}
    return out | dict(loss_difference=difference, arguments=given)

def table(r):
    "The figures in Markdown"
    rows = [('seconds a step', 'seconds', '.2f'), ('processor seconds', 'cpu_seconds', '.2f'),
        ('live MiB, kept', 'kept_mib', ',.0f'),
        ('live MiB, peak', 'peak_mib', ',.0f'), ('made in the step, kept', 'made_kept_mib', ',.0f'),
        ('made in the step, peak', 'made_peak_mib', ',.0f'), ('GFLOP', 'gflop', ',.0f')]
    precision = [r['arguments'][k] for k in ('precision', 'reference_precision')]
    yield '| | ours, {} | reference, {} | ratio |\n|---|---|---|---|'.format(*precision)
    for name, k, fmt in rows:
        if k not in r['ratio']: continue
        figures = ' | '.join(f"{r[side][k]:{fmt}}" for side in ('ours', 'reference'))
        yield f"| {name} | {figures} | {r['ratio'][k]:.3f} |"

def main():
    a = arguments()
    if a.side: return print(json.dumps(run_side(a)))
    r = compare(a)
    print('\n'.join(table(r)), f"\nloss differs by {r['loss_difference']:.1e}")
    if a.json: Path(a.json).write_text(json.dumps(r, indent=1), encoding='utf-8')

if __name__=='__main__': main()
