#!/usr/bin/env bash
# Installs the test extras, lints, and runs the default tier of the tests. Arguments are passed to pytest.
# With --onedl as the first argument: on the maintained forks of the OpenMMLab packages, in .venv-onedl.
# With --seg, first or after --onedl: the tests that need MMSegmentation, and those alone, in .venv-seg or
# .venv-onedl-seg. For .venv-seg the full mmcv is built from source, which takes ten to thirty minutes the first time;
# its wheel is kept in $WHEELS.
# With --slow before the others: the slow tier, and that alone; without --seg, what of it needs no MMSegmentation.
# With --all as the first argument: the default tier, then --seg; fails if one of them does.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --all ]]; then
    shift
    failed=0
    bash tools/run_tests.sh "$@" || failed=1
    VENV=${VENV:+$VENV-seg} bash tools/run_tests.sh --seg "$@" || failed=1
    exit $failed
fi
host=''
if [[ ${1:-} == --onedl ]]; then shift; host=onedl; fi
if [[ ${1:-} == --seg ]]; then shift; host=${host:+$host-}seg; fi
if [[ $host ]]; then export VENV=${VENV:-.venv-$host} HOST=$host; fi
tier=()
if [[ ${HOST:-} == *seg ]]; then tier=(-m 'seg and not slow'); fi
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
