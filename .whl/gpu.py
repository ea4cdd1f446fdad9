import sys,time,torch,numpy as np,tempfile,os,json,warnings
warnings.filterwarnings('ignore'); sys.path.insert(0,'.')
from PIL import Image
from sam2_video_nb.model import *
from sam2_video_nb.model import in_precision
from sam2_video_nb.track import track
from sam2_video_nb.prompts import *
from sam2_video_nb.core import *
torch.backends.cuda.matmul.allow_tf32=False; torch.backends.cudnn.allow_tf32=False
rng=np.random.default_rng(0); d=tempfile.mkdtemp(); T=24
yy,xx=np.mgrid[:480,:854]
for t in range(T):
    a=(rng.normal(110,12,(480,854,3))+30*np.sin(xx/40+t/5)[...,None]).clip(0,255); a[(yy-240)**2+(xx-200-12*t)**2<70**2]=(220,90,40)
    Image.fromarray(a.astype(np.uint8)).save(f'{d}/{t:05d}.jpg',quality=95)
frames=[Image.open(f'{d}/{t:05d}.jpg').convert('RGB') for t in range(T)]
m=torch.from_numpy((yy-240)**2+(xx-200)**2<70**2)
prompts=dict(mask=mask_prompt(m),box=box(130,170,270,310),point=clicks([[200,240]]))
import contextlib
for name,S in (('nano',128),('tiny',1024),('large',1024)):
    p=livelier(build_sam2(name,S,predictor=True)).cuda().eval(); ours=SAM2VideoModel(build_sam2(name,S)).cuda().eval(); ours.sam2.load_state_dict(p.state_dict())
    for prec in ('32','bf16'):
        ctx=lambda: torch.autocast('cuda',torch.bfloat16) if prec=='bf16' else contextlib.nullcontext()
        for kind,q in prompts.items():
            with torch.inference_mode(), ctx():
                st=p.init_state(d)
                if kind=='mask': p.add_new_mask(st,0,1,m)
                elif kind=='box': p.add_new_points_or_box(st,0,1,box=[130,170,270,310])
                else: p.add_new_points_or_box(st,0,1,points=[[200,240]],labels=[1])
                torch.cuda.synchronize(); t0=time.time()
                a=torch.cat([lg[:,0] for _,_,lg in p.propagate_in_video(st)]).float(); torch.cuda.synchronize(); ta=time.time()-t0
            with ctx():
                torch.cuda.synchronize(); t0=time.time()
                outs=list(track(ours,frames,{1:(0,q)})); torch.cuda.synchronize(); tb=time.time()-t0
                lo=torch.stack([o.masks()[0] for o in outs])
            n=((a>0).cpu()!=lo.cpu()).sum().item()
            print(f'TRACK {name}@{S} {prec} {kind}: {n} of {(a>0).sum().item()} px differ; official {T/ta:.1f} f/s, ours {T/tb:.1f} f/s',flush=True)
    del p,ours; torch.cuda.empty_cache()
