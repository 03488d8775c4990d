#!/usr/bin/env bash
# What:  format, lint and types: the same here, in pre-commit and in CI.
# Needs: scripts/setup.sh core
# Usage: bash scripts/check.sh [--fix]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

if [ "${1:-}" = "--fix" ]; then
  "$bin/ruff" check --fix .
  "$bin/ruff" format .
fi
"$bin/ruff" format --check .
"$bin/ruff" check --no-cache .
"$bin/mypy"
for file in scripts/*.sh ./*.sh .ci/run; do
  bash -n "$file"
done
