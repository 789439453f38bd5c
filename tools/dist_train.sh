#!/usr/bin/env bash
# Usage: tools/dist_train.sh CONFIG GPUS [ARGUMENTS OF train.py ...]
# One process a GPU; without a GPU, GPUS processes over gloo. Environment: NNODES NODE_RANK PORT MASTER_ADDR,
# MAX_RESTARTS (how often a run whose process died continues by itself), and PYTHON for an interpreter other than that
# of .venv.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
need 2 "$@"
need_number GPUS "$2"
need_gpus "$2"
need_nodes
need_port "${PORT:-29500}"
run_distributed "$2" "$ROOT/tools/train.py" "$1" --launcher pytorch "${@:3}"
