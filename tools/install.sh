# Sourced by quickstart.sh and run_tests.sh, from the repository root: makes .venv and installs into it what is missing.

# install_mmamd [EXTRA]: the runtime, and with EXTRA also requirements/EXTRA.txt. Does nothing the second time.
# PYTHON names the interpreter that a new .venv is made with (3.10 to 3.12).
install_mmamd() {
    make_venv
    install_once base 'PyTorch (about 5 GB), the OpenMMLab packages and mmamd' \
        torch==2.12.1 torchvision==0.27.1 -r requirements/mminstall.txt -r requirements/runtime.txt
    if [[ $# -gt 0 ]]; then
        install_once "$1" "requirements/$1.txt" -r "requirements/$1.txt"
    fi
}

make_venv() {
    if [[ -x .venv/bin/python ]] && .venv/bin/python -m pip --version > /dev/null 2>&1; then
        return
    fi
    local python=${PYTHON:-}
    if [[ -z $python ]]; then
        # A version manager may offer a python3.11 that does not start: ask, do not look.
        if python3.11 --version > /dev/null 2>&1; then python=python3.11; else python=python3; fi
    fi
    if ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))'; then
        echo "mmamd needs Python 3.10, 3.11 or 3.12; '$python' is not. Set PYTHON=/path/to/python3.11." >&2
        return 1
    fi
    echo "[install] making .venv with $("$python" --version)"
    "$python" -m venv .venv
}

# install_once STAMP WHAT PIP_ARGS...: skipped while the stamp in .venv names this very set of requirements.
install_once() {
    local stamp=".venv/.mmamd-$1" what=$2
    shift 2
    local wanted
    wanted=$({ pwd; echo "$*"; cat setup.py requirements/*.txt; } | cksum)
    if [[ -f $stamp && $(< "$stamp") == "$wanted" ]]; then
        return
    fi
    echo "[install] $what ..."
    local started=$SECONDS
    # -qq: errors only.
    .venv/bin/python -m pip install -qq --disable-pip-version-check "$@"
    if [[ $stamp == *-base ]]; then
        .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    fi
    echo "$wanted" > "$stamp"
    echo "[install] done in $((SECONDS - started)) s"
}
