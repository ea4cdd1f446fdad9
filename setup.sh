#!/bin/sh
# Makes .venv with this library and all it needs; a second run finds it done and is quick.
#   ./setup.sh          torch as PyPI gives it (CUDA on Linux: about 6 GB)
#   ./setup.sh --cpu    a CPU-only torch (about 1.5 GB), without torchvision
# PYTHON names the interpreter (default python3, 3.11 or newer).
set -eu
cd "$(dirname "$0")"
python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup.sh needs Python 3.11 or newer; $python is $("$python" -V 2>&1)." \
        "Name another: PYTHON=python3.12 ./setup.sh" >&2
    exit 1
}
want="${1:-gpu} $(cat settings.ini setup.py setup.sh constraints-cpu.txt | cksum)"
[ "$(cat .venv/.sam2_video_nb 2>/dev/null || true)" != "$want" ] || exit 0
[ -x .venv/bin/pip ] || "$python" -m venv .venv
# sam2's own build would fetch a second, CUDA torch (5.5 GB) for an extension that it then does without
.venv/bin/pip install -q -U setuptools wheel
if [ "${1:-}" = --cpu ]; then
    .venv/bin/pip install -q -c constraints-cpu.txt --no-build-isolation -e '.[dev]'
    # the torchvision that sam2 asks for needs a CUDA torch, and a broken one is worse than none
    .venv/bin/pip uninstall -q -y torchvision
else
    .venv/bin/pip install -q --no-build-isolation -e '.[dev]'
fi
echo "$want" > .venv/.sam2_video_nb
