#!/usr/bin/env bash
# Merges an adapter into its base model: a complete bfloat16 model, checked, ready for vllm.sh.
#
#   ./export.sh                                     the newest adapter under saves/ or outputs/, into models/
#   ./export.sh saves/tiny_lora --out models/tiny
#   ./export.sh saves/tiny_lora --no-check          skip the comparison of weights and the test run
#   ./export.sh saves/tiny_lora --dry-run           check whether it is possible; merge nothing
#   ./export.sh saves/tiny_lora --force             replace a model of that name
#
# Needs an adapter that scripts/train.sh has finished. Works without a GPU.
set -euo pipefail
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; }
case " $* " in
    *" --help "* | *" -h "*) usage; exit 0 ;;
esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -x $here/.venv/bin/vigil ]] || "$here/scripts/setup.sh" core
cd "$here"
if [[ ! -x .venv-train/bin/llamafactory-cli && -z ${VIGIL_TRAIN_PYTHON:-} ]]; then
    # Wrong words are told before gigabytes are fetched.
    .venv/bin/vigil export "$@" --dry-run >/dev/null
    scripts/setup.sh train
fi
exec .venv/bin/vigil export "$@"
