#!/usr/bin/env bash
# What:  makes the environments where they are missing, then runs the checks and the whole suite,
#        unit and end to end, on the real LLaMA-Factory and the real vLLM with the tiny base.
# Needs: Python 3.11+ and git; 10 GiB of disk; about 12 minutes on two cores, no GPU.
# Usage: bash scripts/test.sh [--fast] [pytest arguments]      --fast: the unit tests only
#        VIGIL_TEST_WORKERS=N runs N files at a time.
set -euo pipefail

case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
fast=false
if [ "${1:-}" = "--fast" ]; then
  fast=true
  shift
fi

bash scripts/setup.sh core
if "$fast"; then
  bash scripts/check.sh
  exec .venv/bin/python -m pytest -n "${VIGIL_TEST_WORKERS:-2}" --dist loadfile "$@"
fi
bash scripts/setup.sh train
bash scripts/setup.sh serve
bash scripts/setup.sh browser
bash scripts/check.sh &
checks=$!
# Without tests/conftest.py: it speaks to servers, for which the training environment has no packages.
.venv-train/bin/python -m pytest -q -m "train_env and not gpu" --confcutdir tests/unit/tiny tests/unit/tiny
wait "$checks"
# Three files at once keep two cores busy, the long ones first. Each worker may have a vLLM of its own (1.7 GiB).
exec .venv/bin/python -m pytest -m "not gpu and not train_env" \
  -n "${VIGIL_TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder "$@"
