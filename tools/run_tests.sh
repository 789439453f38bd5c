#!/usr/bin/env bash
# Installs the test extras, lints, and runs the default tier of the tests. Arguments are passed to pytest.
# With --onedl as the first argument: on the maintained forks of the OpenMMLab packages, in .venv-onedl.
# With --seg as the first argument: the tests that need MMSegmentation, and those alone, in .venv-seg. The full mmcv is
# built from source there, which takes ten to twenty minutes the first time; its wheel is kept in $WHEELS.
# With --slow before the others: the slow tier, and that alone; without --seg, what of it needs no MMSegmentation.
set -euo pipefail
cd "$(dirname "$0")/.."
tier=()
if [[ ${1:-} == --onedl ]]; then
    shift
    export VENV=.venv-onedl HOST=onedl
elif [[ ${1:-} == --seg ]]; then
    shift
    export VENV=${VENV:-.venv-seg} HOST=seg
    tier=(-m 'seg and not slow')
fi
if [[ ${1:-} == --slow ]]; then
    shift
    if [[ ${tier[*]} ]]; then tier=(-m 'seg and slow'); else tier=(-m 'slow and not seg'); fi
fi
source tools/install.sh
if [[ $HOST == seg ]]; then build_mmcv; fi
install_mmamd tests docs
"$VENV/bin/python" -m ruff check .
# Two workers on two cores: one thread each, or they fight over the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$VENV/bin/python" -m pytest -n 2 "${tier[@]}" "$@"
