#!/usr/bin/env bash
# What:  the README's pipeline with a model of Qwen3-VL-2B's real shape and vocabulary, on a machine without a GPU:
#        dataset -> 2 LoRA steps with configs/train/qwen3vl_2b_lora.yaml -> export with its check -> vLLM -> parity ->
#        score of 8 clips -> a description -> vigil watch of a clip. The results are in DIR/rehearsal.json.
# Needs: Python 3.11+ and git; 14 GiB of free memory and 10 GB of disk with --size 2b, about twice that with 4b.
#        Time on two cores: under 8 minutes with cached packages.
# Usage: bash scripts/rehearse.sh [--size 2b|4b] [--keep] [--out DIR] [--port N]
#        Without --keep the models are deleted at the end. After a failure they stay, and the same command resumes.
#
# How it differs from the real checkpoint:
#   - weights are random (norms 1, biases 0), so verdicts, scores and descriptions mean nothing
#   - it lacks some files of the hub: vocab.json and merges.txt (tokenizer.json has both), README.md, and the tool part of
#     the chat template
#   - nothing runs on a GPU: no bfloat16 training, flash attention or CUDA graphs (tests/gpu runs these steps on one)
# Deviations from the training configuration are listed, with reasons, when the training starts.
set -euo pipefail

case " $* " in
  *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
if [ ! -x .venv-train/bin/python ] || [ ! -x .venv-serve/bin/python ]; then
  bash scripts/setup.sh core
  # Wrong words are told before gigabytes are fetched.
  .venv/bin/python -m tools.rehearsal --only-look "$@"
fi
bash scripts/setup.sh all
exec .venv/bin/python -m tools.rehearsal "$@"
