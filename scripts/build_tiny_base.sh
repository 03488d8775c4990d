#!/usr/bin/env bash
# Trains the tiny base from random weights and puts it into the package.
# Needs: the training environment (bash scripts/setup.sh train). Two cores, no GPU. Time: about MINUTES on an idle core.
# Usage: bash scripts/build_tiny_base.sh [--batch N] [--learning-rate R] [--seed N] [--workers N] [--threads N] [--start BASE]
#        --start continues from an earlier base, whatever its vocabulary.
#        If stopped, the same command goes on from the last checkpoint; the package's base is replaced at the end.
#        Environment variables: WORK (checkpoints), OUT (the package's base), MINUTES, PYTHON.
set -euo pipefail
case " $* " in
    *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."

WORK="${WORK:-models/tiny}"
OUT="${OUT:-src/vigil/tiny/base}"
MINUTES="${MINUTES:-95}"
PYTHON="${PYTHON:-.venv-train/bin/python}"

[[ -x "$PYTHON" ]] || { echo "no $PYTHON: run bash scripts/setup.sh train first" >&2; exit 2; }
export PYTHONPATH=src:. HF_HUB_OFFLINE=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

"$PYTHON" -m tools.tiny_base.train train --work "$WORK" --minutes "$MINUTES" "$@"
"$PYTHON" -m tools.tiny_base.train ship --work "$WORK" --out "$OUT"
"$PYTHON" -m tools.tiny_base.trial --base "$OUT"
