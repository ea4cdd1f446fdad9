#!/bin/sh
# Makes the weights of nano that come with the package: pictures, videos of them, four trainings. Four hours and more on
# one core.
#   tools/nano.sh CUTOUTS OUT [SHARE [PROCESSES]]
# CUTOUTS/objects/*.png are pictures with transparency (of Debian's tuxpaint-stamps-default). Needs apt-get and dpkg-deb.
# SHARE, 1 unless given, is how much of the videos and of the steps: 0.02 tries the whole way in six minutes on one core.
# PROCESSES, 1 unless given, is how many share a training's batches (the last one's three clips: three).
# The same command again goes on where it was stopped: what is there stays, and a training goes on from its checkpoint.
set -eu
cutouts=$(realpath "$1"); mkdir -p "$2"; out=$(realpath "$2"); tools=$(dirname "$(realpath "$0")")
share=${3:-1} processes=${4:-1}
of() { awk -v n="$1" -v share="$share" 'BEGIN { x = int(n*share+.5); print x < 4 ? 4 : x }'; }     # so much of it
clips() {   # a batch of so many, shared out evenly
    n=$processes; [ "$n" -le "$1" ] || n=$1
    while [ $(($1 % n)) -ne 0 ]; do n=$((n+1)); done
    echo "data.batch_size=$(($1/n))"
    [ "$n" = 1 ] || echo "trainer.devices=$n trainer.accelerator=cpu"
}
[ "$processes" = 1 ] || export OMP_NUM_THREADS=1
find_pictures() {
    rm -rf "$out/packages" "$out/pictures"; mkdir -p "$out/packages" "$out/pictures"
    (cd "$out/packages" && apt-get download plasma-workspace-wallpapers mate-backgrounds ukui-wallpapers \
        gnome-backgrounds lomiri-wallpapers-16.04 lomiri-wallpapers-20.04
     for f in *.deb; do dpkg-deb -x "$f" "${f%%_*}"; rm "$f"; done)
    python "$tools/pictures.py" "$out/packages" "$out/pictures"
    [ ! -d "$cutouts/backgrounds" ] || cp "$cutouts"/backgrounds/* "$out/pictures/backgrounds/"
    cp -r "$cutouts/objects" "$out/pictures/objects.part"; mv "$out/pictures/objects.part" "$out/pictures/objects"
}
scenes() {   # FOLDER VIDEOS FRAMES SIZE SEED
    [ -f "$1/train.json" ] || sam2_video_convert scenes "$out/pictures" "$1" \
        --videos "$(of "$2")" --held-out "$(of 60)" --frames "$3" --size "$4" --seed "$5"
}
[ -d "$out/pictures/objects" ] || find_pictures
scenes "$out/scenes" 5000 8 192 7

all="data.train_path=$out/scenes/train.json data.val_path=$out/scenes/val.json model.config_path=nano data.max_objects=2
    data.reverse_prob=0.5 data.jitter=0.2 prompts.prompt_type=mixed prompts.mix={mask:0.8,point:0.1,box:0.1}
    model.trainable_modules=['*'] model.activation_checkpointing=none trainer.max_epochs=-1 eval.baseline=false
    trainer.check_val_every_n_epoch=50 eval.max_videos=20
    resume=auto resume_allow=[data.batch_size]"
# small and fast first: what moves where, at a constant pace
sam2_video_train $all model.checkpoint_path=random data.image_size=128 data.video_clip_length=4 $(clips 8) \
    'data.frame_interval=[1,2]' optimizer.lr=1e-3 scheduler.type=constant scheduler.warmup_steps="$(of 100)" \
    trainer.max_steps="$(of 1587)" seed=2 hydra.run.dir="$out/first"
# then at the size of the pictures, slower and slower
sam2_video_train $all model.checkpoint_path="$out/first/checkpoints/last.ckpt" data.image_size=192 \
    data.video_clip_length=5 data.stride=3 $(clips 4) optimizer.lr=8e-4 scheduler.warmup_steps="$(of 50)" \
    trainer.max_steps="$(of 1700)" seed=5 hydra.run.dir="$out/second"
# once more at a constant pace, then larger, longer and faster videos, slower and slower
sam2_video_train $all model.checkpoint_path="$out/second/checkpoints/last.ckpt" data.image_size=192 \
    data.video_clip_length=5 data.stride=3 $(clips 4) optimizer.lr=6e-4 scheduler.type=constant \
    scheduler.warmup_steps="$(of 50)" trainer.max_steps="$(of 1250)" seed=6 hydra.run.dir="$out/third"
scenes "$out/larger" 3500 12 256 8
sam2_video_train $all data.train_path="$out/larger/train.json" data.val_path="$out/larger/val.json" \
    model.checkpoint_path="$out/third/checkpoints/last.ckpt" data.image_size=256 data.video_clip_length=6 \
    data.stride=4 'data.frame_interval=[1,2]' $(clips 3) optimizer.lr=8e-4 scheduler.warmup_steps="$(of 50)" \
    trainer.max_steps="$(of 1950)" seed=7 hydra.run.dir="$out/fourth"

python - "$out/fourth/checkpoints/last.ckpt" "$out/nano.safetensors" <<'PY'
import sys
from sam2_video_nb.model.weights import read_weights, write_weights
about = dict(model='nano', image_size=256, prompts=dict(prompt_type='mask', seen=['mask', 'point', 'box']))
write_weights(sys.argv[2], {k: v.half() for k, v in read_weights(sys.argv[1]).items()}, about)
PY
