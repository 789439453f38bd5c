# Sourced by quickstart.sh and run_tests.sh, from the repository root: makes $VENV and installs into it what is missing.

VENV=${VENV:-.venv}                # another folder is another environment, for another stack
HOST=${HOST:-mminstall}            # requirements/$HOST.txt: mminstall (OpenMMLab's), onedl (their forks); with MMSegmentation seg, onedl-seg
TORCH=${TORCH:-torch==2.12.1 torchvision==0.27.1}

# install_mmamd [EXTRA ...]: the runtime, and requirements/EXTRA.txt of each extra. Does nothing the second time.
# PYTHON names the interpreter that a new environment is made with (3.10 to 3.12).
install_mmamd() {
    make_venv
    install_once base 'PyTorch (about 5 GB), the OpenMMLab packages and mmamd' \
        $TORCH -r "requirements/$HOST.txt" -r requirements/runtime.txt
    local extra
    for extra in "$@"; do
        # With the rest again: openmim's newest dependencies would replace its setuptools, and an older numpy.
        install_once "$extra" "requirements/$extra.txt" $TORCH -r requirements/runtime.txt -r "requirements/$extra.txt"
    done
}

# build_mmcv: the full mmcv with its compiled operators, before what installs it. Nothing is built the second time, also
# for another environment of the same PyTorch.
build_mmcv() {
    make_venv
    # What the build imports: it runs in this environment, because the operators are those of this PyTorch.
    install_once torch 'PyTorch (about 5 GB) and what mmcv is built with' $TORCH 'setuptools>=77,<81' wheel ninja psutil
    local wheels=${WHEELS:-${XDG_CACHE_HOME:-$HOME/.cache}/mmamd}/${TORCH%% *}
    if ! compgen -G "$wheels/mmcv-*.whl" > /dev/null; then
        echo "[install] building mmcv, ten to thirty minutes ..."
        MMCV_WITH_OPS=1 "$VENV/bin/python" -m pip wheel -qq --disable-pip-version-check --no-deps --no-build-isolation \
            --wheel-dir "$wheels" "$(grep -o '^mmcv==[^ ]*' requirements/seg.txt)"
    fi
    export PIP_FIND_LINKS=$wheels
}

make_venv() {
    if [[ -x "$VENV/bin/python" ]] && "$VENV/bin/python" -m pip --version > /dev/null 2>&1; then
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
    echo "[install] making $VENV with $("$python" --version)"
    "$python" -m venv "$VENV"
}

# install_once STAMP WHAT PIP_ARGS...: skipped while the stamp in $VENV names this very set of requirements.
install_once() {
    local stamp="$VENV/.mmamd-$1" what=$2
    shift 2
    local wanted
    wanted=$({ pwd; echo "$*"; cat setup.py requirements/*.txt; } | cksum)
    if [[ -f $stamp && $(< "$stamp") == "$wanted" ]]; then
        return
    fi
    echo "[install] $what ..."
    local started=$SECONDS
    # -qq: errors only.
    "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "$@"
    if [[ $stamp == *-base ]]; then
        "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
    fi
    echo "$wanted" > "$stamp"
    echo "[install] done in $((SECONDS - started)) s"
}
