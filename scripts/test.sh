#!/usr/bin/env bash
# What:  makes missing environments, then runs the checks and the suite, unit and end to end, on the real
#        LLaMA-Factory and the real vLLM with the tiny base; then the long tests, which train and serve other variants
#        (families, frame rates, kinds of adapters, several processes); finally, alone, the rehearsal with a model of
#        Qwen3-VL-2B's real shape (scripts/rehearse.sh).
# Needs: Python 3.11+ and git; 20 GiB of disk, 14 GiB of memory; no GPU. No test depends on the
#        speed of the machine.
# Usage: bash scripts/test.sh [--fast] [--no-rehearsal] [pytest arguments]
#        --fast: unit tests only. --no-rehearsal skips the long tests and the rehearsal. With arguments for pytest,
#        exactly what they name is run.
#        VIGIL_TEST_WORKERS=N runs N files at a time (default: two per core if there are 3 GiB of memory for each;
#        with --fast one per core).
set -euo pipefail

case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
# Allow compiled modules: the suite starts Python hundreds of times, which takes twice as long without them.
unset PYTHONDONTWRITEBYTECODE
fast=false
rehearsal=true
chosen="not gpu and not train_env and not long"
while :; do
  case "${1:-}" in
    --fast) fast=true ;;
    --no-rehearsal) rehearsal=false ;;
    *) break ;;
  esac
  shift
done
if [ $# -gt 0 ]; then
  rehearsal=false
  chosen="not gpu and not train_env"
fi

# Two files per core, since many tests wait for cameras; each may start a vLLM of its own.
GIB_A_FILE=3
memory_gib="$(awk '/^MemTotal:/ { print $2 / 1048576 }' /proc/meminfo)"
files_at_once="${VIGIL_TEST_WORKERS:-$(awk -v cores="$(nproc)" -v gib="$memory_gib" -v each="$GIB_A_FILE" \
  'BEGIN { n = int(gib / each); if (n > 2 * cores) n = 2 * cores; print (n < 1 ? 1 : n) }')}"

if "$fast"; then
  bash scripts/setup.sh core services
  bash scripts/check.sh
  exec .venv/bin/python -m pytest -n "${VIGIL_TEST_WORKERS:-$(nproc)}" --dist loadfile "$@"
fi

# Importing compiles the modules once; otherwise several workers compile the same ones. It uses one core while the next
# environment is installed. Import errors are left to the tests.
load() { "$@" >/dev/null 2>&1 & loading+=("$!"); }
loading=()
bash scripts/setup.sh train
load .venv-train/bin/python -c "import gc; gc.disable(); import llamafactory.train.tuner"
bash scripts/setup.sh serve
load .venv-serve/bin/python -c "import gc; gc.disable(); import vllm.entrypoints.cli.serve, vllm.v1.engine.core"
bash scripts/setup.sh core browser services
export VIGIL_TEST_SERVICES=required # a test that needs one of them fails where it is missing
bash scripts/check.sh &
checks=$!
load .venv/bin/python -m pytest --collect-only -m "$chosen"
wait "${loading[0]}" || true
# These use one core for minutes, so they run beside the others; what they print comes at the end. Without
# tests/conftest.py, whose servers need packages that the training environment lacks.
train_env_log="$(mktemp)"
trap 'rm -f "$train_env_log"' EXIT
.venv-train/bin/python -m pytest -q -m "train_env and not gpu" --confcutdir tests/unit/tools/tiny_base tests/unit/tools/tiny_base \
  tests/unit/tools/rehearsal/test_checkpoint.py >"$train_env_log" 2>&1 &
train_env_tests=$!
wait "${loading[@]}" || true
wait "$checks"
failed=0
# Long files first.
.venv/bin/python -m pytest -m "$chosen" \
  -n "$files_at_once" --dist loadfile --no-loadscope-reorder "$@" || failed=$?
wait "$train_env_tests" || failed=$?
echo "The tests of the training environment:"
cat "$train_env_log"
[ "$failed" -eq 0 ] || exit "$failed"
if "$rehearsal"; then
  echo "The long tests:"
  .venv/bin/python -m pytest -m "long and not gpu" -n "$files_at_once" --dist loadfile --no-loadscope-reorder tests/e2e
  rm -rf outputs/rehearsal
  bash scripts/rehearse.sh --out outputs/rehearsal
fi
