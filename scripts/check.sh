#!/usr/bin/env bash
# What:  checks format, lint and types; pre-commit and CI run the same.
# Needs: scripts/setup.sh core
# Usage: bash scripts/check.sh [--fix]
set -euo pipefail
case "$*" in
  "" | --fix) ;;
  --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
  *) echo "check.sh: there is only --fix, not '$*'" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
bin=.venv/bin

if [ "${1:-}" = "--fix" ]; then
  "$bin/ruff" check --fix .
  "$bin/ruff" format .
fi
"$bin/ruff" format --check .
"$bin/ruff" check --no-cache .
"$bin/mypy"
# The same settings, so that both use one cache: others would check all that both import twice.
MYPYPATH=tests:benchmarks "$bin/mypy" benchmarks/*.py
for file in scripts/*.sh ./*.sh .ci/run; do
  bash -n "$file"
done
