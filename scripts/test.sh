#!/usr/bin/env bash
# What:  makes the environments where they are missing, then runs the checks and the whole suite,
#        unit and end to end, on the real LLaMA-Factory and the real vLLM with the tiny base; last of all the rehearsal
#        with a model of Qwen3-VL-2B's true shape (scripts/rehearse.sh), alone.
# Needs: Python 3.11+ and git; 20 GiB of disk, 14 GiB of memory; no GPU. On two slow cores (docs take a host of twice the
#        pace) 18 minutes and 8 for the rehearsal.
# Usage: bash scripts/test.sh [--fast] [--no-rehearsal] [pytest arguments]
#        --fast: the unit tests only. --no-rehearsal leaves the rehearsal out, and so do arguments for pytest.
#        VIGIL_TEST_WORKERS=N runs N files at a time; without it 4, on a machine that is slow just now 3 to 1.
set -euo pipefail

case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
# Compiled modules may stay here: the suite starts Python some hundred times, twice as slowly without them.
unset PYTHONDONTWRITEBYTECODE
fast=false
rehearsal=true
while :; do
  case "${1:-}" in
    --fast) fast=true ;;
    --no-rehearsal) rehearsal=false ;;
    *) break ;;
  esac
  shift
done
[ $# -eq 0 ] || rehearsal=false

# Tests with clocks need their share of a core. `vigil watch --help` takes about 1.1 s of CPU where the figures in docs/
# were taken (reckoned from 2.5 s without compiled modules and before it was loaded without the collector); on a host that
# takes much longer fewer files run at once, and clocks are asked more gently.
measure_pace() {
  local TIMEFORMAT=%U cpu_s
  .venv/bin/vigil watch --help >/dev/null
  cpu_s=$({ time .venv/bin/vigil watch --help >/dev/null; } 2>&1)
  VIGIL_TEST_PACE=$(awk -v s="$cpu_s" 'BEGIN { printf "%.1f", (s > 1.1 ? s / 1.1 : 1) }')
  files_at_once=$(awk -v p="$VIGIL_TEST_PACE" 'BEGIN { print (p < 2.4 ? 4 : p < 3.2 ? 3 : p < 4 ? 2 : 1) }')
  export VIGIL_TEST_PACE
  echo "this machine takes $VIGIL_TEST_PACE times as long as usual; ${VIGIL_TEST_WORKERS:-$files_at_once} files at once" >&2
}

if "$fast"; then
  bash scripts/setup.sh core
  bash scripts/check.sh
  measure_pace
  exec .venv/bin/python -m pytest -n "${VIGIL_TEST_WORKERS:-2}" --dist loadfile "$@"
fi

# What was loaded once is compiled; otherwise several workers compile the same modules side by side. It takes a core while
# the next environment is installed. What cannot be loaded is told by its tests.
load() { "$@" >/dev/null 2>&1 & loading+=("$!"); }
loading=()
bash scripts/setup.sh train
load .venv-train/bin/python -c "import gc; gc.disable(); import llamafactory.train.tuner"
bash scripts/setup.sh serve
load .venv-serve/bin/python -c "import gc; gc.disable(); import vllm.entrypoints.cli.serve, vllm.v1.engine.core"
bash scripts/setup.sh core browser
bash scripts/check.sh &
checks=$!
load .venv/bin/python -m pytest --collect-only -m "not gpu and not train_env"
wait "${loading[0]}" || true
# Without tests/conftest.py: it speaks to servers, for which the training environment has no packages.
.venv-train/bin/python -m pytest -q -m "train_env and not gpu" --confcutdir tests/unit/tiny tests/unit/tiny \
  tests/unit/rehearsal/test_checkpoint.py
wait "${loading[@]}" || true
wait "$checks"
measure_pace
# The long files come first. Each worker may have a vLLM of its own (1.7 GiB).
.venv/bin/python -m pytest -m "not gpu and not train_env" \
  -n "${VIGIL_TEST_WORKERS:-$files_at_once}" --dist loadfile --no-loadscope-reorder \
  -o timeout="$(awk -v p="$VIGIL_TEST_PACE" 'BEGIN { print 120 * p }')" "$@"
if "$rehearsal"; then
  rm -rf outputs/rehearsal
  bash scripts/rehearse.sh --out outputs/rehearsal
fi
