#!/bin/sh
# Makes what the real protocol of benchmarks/recipes.py begins from (--base): nano, and photographs with masks in motion.
#   tools/real_base.sh STILLS NANO OUT
# STILLS has images/, objects/ and regions/, as `sam2_video_convert stills` takes them; NANO is the folder that
# tools/nano.sh made. Half an hour on one core. What comes out may be passed on only where the photographs may.
set -eu
stills=$(realpath "$1") nano=$(realpath "$2"); mkdir -p "$3"; out=$(realpath "$3")
for seed in 1 2; do
    sam2_video_convert stills "$stills" "$out/stills$seed" --masks objects,regions --videos 1200 --held-out 30 \
        --seed $seed
done
sam2_video_train "data.train_path=[$out/stills1/train.json,$out/stills2/train.json,$nano/larger/train.json]" \
    data.train_weights=[3,3,3] data.val_path="$out/stills1/val.json" model.config_path=nano model.checkpoint_path=nano \
    "model.trainable_modules=['*']" data.image_size=192 data.video_clip_length=5 data.stride=3 data.batch_size=4 \
    data.max_objects=2 data.reverse_prob=0.5 data.jitter=0.2 prompts.prompt_type=mixed \
    'prompts.mix={mask:0.8,point:0.1,box:0.1}' optimizer.lr=6e-4 scheduler.type=cosine scheduler.warmup_steps=50 \
    model.activation_checkpointing=none trainer.max_steps=1200 trainer.max_epochs=-1 \
    trainer.check_val_every_n_epoch=50 eval.max_videos=20 eval.baseline=false seed=11 hydra.run.dir="$out/base"
python - "$out/base/checkpoints/last.ckpt" "$out/nano_stills.safetensors" <<'PY'
import sys
from sam2_video_nb.model.weights import read_weights, write_weights
about = dict(model='nano', image_size=192, prompts=dict(prompt_type='mask', seen=['mask', 'point', 'box']))
write_weights(sys.argv[2], read_weights(sys.argv[1]), about)
PY
