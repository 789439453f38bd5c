#!/usr/bin/env bash
# Usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGUMENTS OF test.py ...]
# One process a GPU; without a GPU, GPUS processes over gloo. Environment: NNODES NODE_RANK PORT MASTER_ADDR, and PYTHON
# for an interpreter other than that of .venv.
set -euo pipefail
if [[ $# -lt 3 ]]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi

ROOT=$(cd "$(dirname "$0")/.." && pwd)
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
if [[ -z ${PYTHON:-} && -x $ROOT/.venv/bin/python ]]; then
    PYTHON=$ROOT/.venv/bin/python
fi

PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$ROOT/tools/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
