#!/usr/bin/env bash
# Regenerates requirements/*.txt from pyproject.toml and requirements/*.in: exact pins for Python 3.11 to 3.13, with the
# SHA-256 of every file that the package index has of each. scripts/setup.sh installs no other file.
#
#   scripts/lock.sh                   keep pins that still fit, add new ones
#   scripts/lock.sh --upgrade         upgrade everything that the .in files do not fix
#   scripts/lock.sh --upgrade-package openai
#
# Needs the package index, no GPU. Commit the result; scripts/setup.sh then updates the environments to it.
set -euo pipefail
case " $* " in
    *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/uv.sh
find_uv

compile() { # compile OUTPUT INPUT [uv option ...]
    local output=$1 input=$2
    shift 2
    echo "locking requirements/$output" >&2
    # Which index they came from is nobody's business: any that holds the same files will do.
    "$UV" pip compile --quiet --universal --python-version 3.11 --no-annotate \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-index-annotation \
        --custom-compile-command "scripts/lock.sh" "$input" --output-file "requirements/$output" "$@" ||
        fail "locking requirements/$output" "read the conflict above; the limits are in $input"
}

compile uv.txt requirements/uv.in "$@"
compile build.txt requirements/build.in "$@"
compile core.txt pyproject.toml "$@"
compile dev.txt pyproject.toml --extra dev "$@"
compile person.txt requirements/person.in --excludes requirements/person.excludes.txt "$@"
compile train.txt requirements/train.in "$@"
compile serve-cpu.txt requirements/serve-cpu.in --override requirements/serve-cpu.override.txt "$@"
compile serve-gpu.txt requirements/serve-gpu.in "$@"
