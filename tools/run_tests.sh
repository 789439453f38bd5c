#!/usr/bin/env bash
# Installs the test extras, lints, and runs the default tier of the tests. Arguments are passed to pytest.
# With --onedl as the first argument: on the maintained forks of the OpenMMLab packages, in .venv-onedl.
# With --slow before them: the slow tier, and that alone.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --onedl ]]; then
    shift
    export VENV=.venv-onedl HOST=onedl
fi
tier=()
if [[ ${1:-} == --slow ]]; then
    shift
    tier=(-m slow)
fi
source tools/install.sh
install_mmamd tests docs
"$VENV/bin/python" -m ruff check .
# Two workers on two cores: one thread each, or they fight over the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "$VENV/bin/python" -m pytest -n 2 "${tier[@]}" "$@"
