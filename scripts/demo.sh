#!/usr/bin/env bash
# What:  the whole pipeline on a machine without a GPU: drawn clips -> dataset -> LoRA on the tiny base -> export ->
#        vLLM -> score of base and LoRA side by side, with a table and a summary.json at the end.
# Needs: Python 3.11+ and git; 10 GiB of disk. 4 minutes on two cores, with cached packages.
# Usage: bash scripts/demo.sh [--out DIR] [--clips DIR] [--port N] [--seed N] [--keep] [--no-web]
#        Run it again with the same options to resume. Output goes to --out, else to demo-out,
#        with --clips DIR to demo-of-DIR, with --seed N to a folder of that seed.
set -euo pipefail

case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
started=$SECONDS
# Allow compiled modules: every stage starts Python, which takes twice as long without them.
unset PYTHONDONTWRITEBYTECODE
if [ ! -x .venv-train/bin/python ] || [ ! -x .venv-serve/bin/python ]; then
  bash scripts/setup.sh core
  # Wrong words are told before gigabytes are fetched.
  .venv/bin/python -m tools.demo --only-look "$@"
fi
bash scripts/setup.sh all
exec .venv/bin/python -m tools.demo --setup-seconds "$((SECONDS - started))" "$@"
