#!/usr/bin/env bash
# What:  the whole pipeline on a machine without a GPU: drawn clips -> dataset -> LoRA on the tiny base -> export ->
#        vLLM -> score of base and LoRA side by side, with a table and a summary.json at the end.
#        With --task anomaly9 of nine classes instead of fights, with calibration and a confusion matrix.
# Needs: Python 3.11+ and git; 10 GiB of disk. 4 minutes on two cores, with cached packages; anomaly9 takes half an hour.
# Usage: bash scripts/demo.sh [--task anomaly9] [--out DIR] [--clips DIR] [--port N] [--seed N] [--keep] [--no-web]
#        Run it again with the same options to resume. Output goes to --out, else to demo-out,
#        with --task anomaly9 to demo-anomaly9, with --clips DIR to demo-of-DIR, with --seed N to a folder of that seed.
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
