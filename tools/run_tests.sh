#!/usr/bin/env bash
# Installs the test extras into .venv, lints, and runs the default tier of the tests. Arguments are passed to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/install.sh
install_mmamd tests
.venv/bin/python -m ruff check .
# Two workers on two cores: one thread each, or they fight over the cores.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/python -m pytest -n 2 "$@"
