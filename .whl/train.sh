cd $(dirname $0)/..
for cfg in "tiny 1024 8" "base_plus 1024 8" "large 1024 8" "large 1024 4" "tiny 512 8" "base_plus 512 8"; do set -- $cfg
python3 - $1 $2 $3 <<'P'
import sys,torch,time,warnings; warnings.filterwarnings('ignore')
from sam2_video_nb.config import load_cfg
from sam2_video_nb.trainer import train
n,S,T=sys.argv[1:]
try:
    t=time.time(); r=train(load_cfg([f'model.name={n}',f'data.image_size={S}',f'data.video_clip_length={T}','data.batch_size=1','data.synth_videos=4','data.synth_frames=10','data.val_path=none','trainer.precision=bf16-mixed','trainer.accelerator=gpu','trainer.devices=1','trainer.max_epochs=1','trainer.limit_train_batches=6','visualization.enabled=false','trainer.enable_checkpointing=false','trainer.enable_progress_bar=false','log_level=error',f'output_dir=/tmp/o{n}{S}{T}']))
    print(f'TRAIN {n}@{S} T={T} batch 1 bf16: peak {torch.cuda.max_memory_allocated()/2**30:.1f} GiB allocated, {torch.cuda.max_memory_reserved()/2**30:.1f} reserved, steps {r.metrics["steps"]}, {time.time()-t:.0f}s',flush=True)
except Exception as e: print('TRAIN',n,S,T,type(e).__name__,str(e)[:300],flush=True)
P
done
