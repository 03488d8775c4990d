# Sourced by setup.sh and lock.sh: finds Python 3.11 to 3.13 and a private uv (.venv-uv, which pip makes on first use).

fail() { # fail WHAT ADVICE
    printf 'FAILED: %s\n  what to do: %s\n' "$1" "$2" >&2
    exit 1
}

hexdigest() { # of what comes in
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1
}

run_installer() { # run_installer WHAT PINS ADVICE COMMAND ...: once more where it fails; what is not the pinned file has words of its own
    local what=$1 pins=$2 advice=$3 told other
    shift 3
    # On a terminal the first try draws its bars; elsewhere a list of 150 packages helps nobody, and one error is enough.
    if [[ -t 2 ]]; then "$@" >&2 && return; else told=$("$@" 2>&1) && return; fi
    told=$("$@" 2>&1) && return
    printf '%s\n' "$told" >&2
    if grep -qE 'Hash mismatch|DO NOT MATCH THE HASHES' <<<"$told"; then
        other=$(sed -nE 's/.*Hash mismatch for `([^`]*)`.*/\1/p; s/^ +([A-Za-z0-9._-]+==[^ ]+) .*https?:.*/\1/p' <<<"$told" | head -n 1)
        fail "$what: ${other:-a package} is not the file that $pins pins by its SHA-256, so it was not installed" \
            "the package index (or its mirror: PIP_INDEX_URL, UV_DEFAULT_INDEX) sends another file than was locked; ask another index, and trust this file only if you know why it differs"
    fi
    if grep -qE 'must have a hash|no trusted hash|Hashes are required' <<<"$told"; then
        fail "$what: $pins holds something without a SHA-256, and nothing is installed unchecked" "write the hashes with scripts/lock.sh, or take the file as it was committed"
    fi
    fail "$what" "$advice"
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
        [[ $("$UV" pip sync --help 2>/dev/null) == *--require-build-hashes* ]] ||
            fail "VIGIL_UV=$UV ($("$UV" --version)) is too old to check the hashes of what builds packages" "unset it, or name a newer one"
        return
    fi
    local wanted told stamp
    wanted=$(sed -nE 's/^uv==([^ ]+).*/\1/p' requirements/uv.txt)
    stamp=$(hexdigest <requirements/uv.txt)
    [[ $("$UV" --version 2>/dev/null) == "uv $wanted"* && $(cat .venv-uv/stamp 2>/dev/null) == "$stamp" ]] && return
    find_python
    echo "installing uv $wanted into .venv-uv" >&2
    # Kept back unless it fails: when it is stopped, Python shows where in its own code it was.
    told=$("$PYTHON" -m venv --clear .venv-uv/env 2>&1) || {
        printf '%s\n' "$told" >&2
        fail "making a small environment for uv with $PYTHON" "install its venv module (Debian, Ubuntu: apt install python3-venv)"
    }
    run_installer "installing uv $wanted" requirements/uv.txt "check the network and pip's index (pip config list), then run this again" \
        .venv-uv/env/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements/uv.txt
    mkdir -p .venv-uv/bin && ln -sfn ../env/bin/uv .venv-uv/bin/uv
    echo "$stamp" >.venv-uv/stamp
}
