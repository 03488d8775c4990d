#!/usr/bin/env bash
# Trains an adapter with LLaMA-Factory: checks everything first, shows progress, and resumes after a stop.
#
#   scripts/train.sh CONFIG [key=value ...] [--fresh] [--dry-run]
#   scripts/train.sh tiny_lora                                  the tiny base, on a CPU
#   scripts/train.sh qwen3vl_2b_lora num_train_epochs=5         a card with 24 GB
#
# CONFIG is a name under configs/train or a path; paths inside it are relative to this repository.
# --fresh discards the contents of output_dir; --dry-run only checks.
# Needs a dataset (vigil dataset build) and, except for tiny_lora, a model (scripts/download_model.sh).
set -euo pipefail

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
    echo "there are: $(cd "$(dirname "$0")/../configs/train" && ls -- *.yaml | sed 's/\.yaml$//' | tr '\n' ' ')"
}
[[ $# -gt 0 ]] || { usage >&2; exit 2; }
case " $* " in
    *" --help "* | *" -h "*) usage; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -x .venv/bin/vigil ]] || scripts/setup.sh core
if [[ ! -x .venv-train/bin/llamafactory-cli && -z ${VIGIL_TRAIN_PYTHON:-} ]]; then
    # Wrong words are told before gigabytes are fetched.
    .venv/bin/vigil train "$@" --dry-run >/dev/null
    scripts/setup.sh train
fi
exec .venv/bin/vigil train "$@"
