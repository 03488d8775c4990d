#!/usr/bin/env bash
# Trains an adapter with LLaMA-Factory: checks everything first, shows how far it is, goes on where it was stopped.
#
#   scripts/train.sh CONFIG [key=value ...] [--fresh] [--dry-run]
#   scripts/train.sh tiny_lora                                  the tiny base, on a CPU
#   scripts/train.sh qwen3vl_2b_lora num_train_epochs=5         a card with 24 GB
#
# CONFIG is a name under configs/train or a path; paths inside it start at the top of this repository.
# Needs a dataset (vigil dataset build) and, but for tiny_lora, a model (scripts/download_model.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ $# -eq 0 ]]; then
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" >&2
    echo "there are: $(cd configs/train && ls -- *.yaml | sed 's/\.yaml$//' | tr '\n' ' ')" >&2
    exit 2
fi
[[ -x .venv/bin/vigil ]] || scripts/setup.sh core
[[ -x .venv-train/bin/llamafactory-cli || -n ${VIGIL_TRAIN_PYTHON:-} ]] || scripts/setup.sh train
exec .venv/bin/vigil train "$@"
