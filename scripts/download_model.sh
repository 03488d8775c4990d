#!/usr/bin/env bash
# Downloads a model into models/NAME, from ModelScope or Hugging Face; an interrupted download resumes.
#
#   scripts/download_model.sh                                  Qwen/Qwen3-VL-2B-Instruct, about 4.3 GB
#   scripts/download_model.sh Qwen/Qwen3-VL-4B-Instruct
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --from huggingface
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --revision COMMIT     exactly this revision
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --to /big/disk/qwen
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --verify              compare with the record; download nothing
#
# The same as `vigil download`. vigil-download.json beside the model records the revision and each file's SHA-256.
# Needs scripts/setup.sh core and the network. A mirror: HF_ENDPOINT=URL or MODELSCOPE_ENDPOINT=URL.
set -euo pipefail
case " $* " in
    *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -x .venv/bin/vigil ]] || scripts/setup.sh core
exec .venv/bin/vigil download "$@"
