# Sourced by setup.sh and lock.sh: finds Python 3.11 to 3.13 and our own uv (a small .venv-uv, made by pip at first use).

fail() { # fail WHAT ADVICE
    printf 'FAILED: %s\n  what to do: %s\n' "$1" "$2" >&2
    exit 1
}

find_python() { # sets PYTHON
    local candidate
    for candidate in ${VIGIL_PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            PYTHON=$("$candidate" -c 'import sys; print(sys.executable)')
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found (looked for ${VIGIL_PYTHON:-python3.11, python3.12, python3.13, python3})" \
        "install one (Debian, Ubuntu: apt install python3.11 python3.11-venv) or name it: VIGIL_PYTHON=/path/to/python"
}

find_uv() { # sets UV; VIGIL_UV names one that is there already
    UV=${VIGIL_UV:-.venv-uv/bin/uv}
    # uv does not read pip's settings, so a mirror that pip was told about is passed on.
    if [[ -z ${UV_DEFAULT_INDEX:-} && -n ${PIP_INDEX_URL:-} ]]; then export UV_DEFAULT_INDEX=$PIP_INDEX_URL; fi
    export UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
    if [[ -n ${VIGIL_UV:-} ]]; then
        "$UV" --version >/dev/null 2>&1 || fail "VIGIL_UV=$UV is not a uv that runs" "unset it, or name one that does"
        return
    fi
    local wanted told
    wanted=$(sed -n 's/^uv==//p' requirements/uv.txt)
    [[ $("$UV" --version 2>/dev/null) == "uv $wanted"* ]] && return
    find_python
    echo "installing uv $wanted into .venv-uv" >&2
    # Kept back unless it fails: when it is stopped, Python shows where in its own code it was.
    told=$("$PYTHON" -m venv --clear .venv-uv/env 2>&1) || {
        printf '%s\n' "$told" >&2
        fail "making a small environment for uv with $PYTHON" "install its venv module (Debian, Ubuntu: apt install python3-venv)"
    }
    .venv-uv/env/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt >&2 ||
        fail "installing uv $wanted" "check the network and pip's index (pip config list), then run this again"
    mkdir -p .venv-uv/bin && ln -sfn ../env/bin/uv .venv-uv/bin/uv
}
