#!/usr/bin/env bash
# Usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py ...]
# One task a GPU. Environment: GPUS (8), GPUS_PER_NODE (8, or GPUS if fewer), CPUS_PER_TASK (5), SRUN_ARGS (more options
# of srun, separated by spaces), PORT (29500), and PYTHON for an interpreter other than that of .venv.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
need 4 "$@"
run_on_slurm "$1" "$2" "$ROOT/tools/train.py" "$3" --work-dir "$4" --launcher slurm "${@:5}"
