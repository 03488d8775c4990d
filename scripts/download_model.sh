#!/usr/bin/env bash
# Fetches a model into models/NAME, from ModelScope or Hugging Face; stopped or broken off, it goes on where it was.
#
#   scripts/download_model.sh                                  Qwen/Qwen3-VL-2B-Instruct, about 4.3 GB
#   scripts/download_model.sh Qwen/Qwen3-VL-4B-Instruct
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --from huggingface
#   scripts/download_model.sh Qwen/Qwen3-VL-2B-Instruct --to /big/disk/qwen
#
# Needs the training environment (scripts/setup.sh train) and the network. A mirror of Hugging Face: HF_ENDPOINT=URL.
set -euo pipefail

wrong() { echo "download_model.sh: $1; see --help" >&2; exit 2; }

model=Qwen/Qwen3-VL-2B-Instruct source=modelscope folder=
while [[ $# -gt 0 ]]; do
    case $1 in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        --from) source=${2:-}; shift 2 || wrong "--from needs modelscope or huggingface" ;;
        --to) folder=${2:-}; shift 2 || wrong "--to needs a folder" ;;
        -*) wrong "unknown option $1" ;;
        *) model=$1; shift ;;
    esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $source == modelscope || $source == huggingface ]] || wrong "--from takes modelscope or huggingface, not '$source'"
[[ $model == */* ]] || wrong "a model is named OWNER/NAME, like Qwen/Qwen3-VL-2B-Instruct, not '$model'"
folder=${folder:-models/${model##*/}}
env=.venv-train
[[ -n ${VIGIL_TRAIN_PYTHON:-} ]] && env=$(dirname "$(dirname "$VIGIL_TRAIN_PYTHON")")
[[ -x $env/bin/python ]] || scripts/setup.sh train

case $source in
    modelscope) fetch=("$env/bin/modelscope" download --model "$model" --local_dir "$folder") other=huggingface ;;
    huggingface) fetch=("$env/bin/hf" download "$model" --local-dir "$folder") other=modelscope ;;
esac
if [[ -f $folder/.complete ]]; then
    echo "$folder is there already; remove it to fetch it again" >&2
    exit 0
fi
mkdir -p "$folder"
echo "fetching $model from $source into $folder" >&2
trap 'echo "stopped; the same command goes on where it was" >&2; exit 1' INT TERM
if ! "${fetch[@]}" >&2; then
    rmdir "$folder" 2>/dev/null || true
    {
        echo "FAILED: fetching $model from $source"
        echo "  what to do: check the network and the name, then run the same command (it goes on where it was),"
        echo "  try --from $other, or copy the model's files into $folder by hand"
    } >&2
    exit 1
fi
[[ -f $folder/config.json ]] || { echo "FAILED: $source sent no config.json for $model; is the name right?" >&2; exit 1; }
touch "$folder/.complete"
echo "$folder"
