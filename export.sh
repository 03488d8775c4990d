#!/usr/bin/env bash
# Merges an adapter into its base model: a complete model in bfloat16, checked, ready for vllm.sh.
#
#   ./export.sh                                     the newest adapter under saves/ or outputs/, into models/
#   ./export.sh saves/tiny_lora --out models/tiny
#   ./export.sh saves/tiny_lora --no-check          without loading the result and comparing its logits
#   ./export.sh saves/tiny_lora --force             replace a model of that name
#
# Needs an adapter that scripts/train.sh has finished. Works without a GPU.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -x $here/.venv/bin/vigil ]] || "$here/scripts/setup.sh" core
[[ -x $here/.venv-train/bin/llamafactory-cli || -n ${VIGIL_TRAIN_PYTHON:-} ]] || "$here/scripts/setup.sh" train
cd "$here"
exec .venv/bin/vigil export "$@"
