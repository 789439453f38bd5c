#!/usr/bin/env bash
# The whole method on bundled data, on a CPU: installs into .venv, then runs configs/amd/vit-tiny_digits.py.
# With --seg as the first argument: on generated street scenes, in .venv-seg, for which the full mmcv is built from source
# the first time; runs configs/segmentation/psp_r18_scenes.py.
# A rerun skips what is finished. Other arguments are passed to tools/train.py.
set -euo pipefail
cd "$(dirname "$0")/.."
config=configs/amd/vit-tiny_digits.py work_dir=work_dirs/quickstart
if [[ ${1:-} == --seg ]]; then
    shift
    export VENV=${VENV:-.venv-seg} HOST=seg
    config=configs/segmentation/psp_r18_scenes.py work_dir=work_dirs/quickstart_seg
fi
source tools/install.sh
if [[ $HOST == seg ]]; then build_mmcv; fi
install_mmamd
# One thread: on so small a network two spend their time waiting for each other, and thirtyfold where a core is shared.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$VENV/bin/python" tools/train.py "$config" --work-dir "$work_dir" "$@"
