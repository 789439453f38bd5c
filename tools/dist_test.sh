#!/usr/bin/env bash
# Usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGUMENTS OF test.py ...]
# One process a GPU; without a GPU, GPUS processes over gloo. Environment: NNODES NODE_RANK PORT MASTER_ADDR, and PYTHON
# for an interpreter other than that of .venv.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
need 3 "$@"
need_number GPUS "$3"
need_gpus "$3"
need_nodes
need_port "${PORT:-29500}"
run_distributed "$3" "$ROOT/tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
