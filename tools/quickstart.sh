#!/usr/bin/env bash
# The whole method on bundled data, on a CPU: installs into .venv, then runs configs/amd/vit-tiny_digits.py.
# A rerun skips what is finished. Arguments are passed to tools/train.py.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/install.sh
install_mmamd
# One thread: on so small a network two spend their time waiting for each other, and thirtyfold where a core is shared.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/python tools/train.py configs/amd/vit-tiny_digits.py --work-dir work_dirs/quickstart "$@"
