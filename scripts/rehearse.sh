#!/usr/bin/env bash
# What:  the README's own road with a model of Qwen3-VL-2B's true shape and vocabulary, on a machine without a GPU:
#        dataset -> 2 steps of LoRA by configs/train/qwen3vl_2b_lora.yaml -> export with its check -> vLLM -> parity ->
#        score of 8 clips -> a description -> vigil watch of a clip. What came of it is in DIR/rehearsal.json.
# Needs: Python 3.11+ and git; 14 GiB of free memory and 10 GB of disk with --size 2b, about twice that with 4b.
#        Time on two cores: under 8 minutes with the packages in a cache.
# Usage: bash scripts/rehearse.sh [--size 2b|4b] [--keep] [--out DIR] [--port N]
#        Without --keep the models are deleted at the end; where it stops they stay, and the same command goes on there.
#
# What the real checkpoint has that this one has not:
#   - its weights: here they are random (norms 1, biases 0), so verdicts, scores and descriptions mean nothing
#   - files that only the hub has: vocab.json and merges.txt (tokenizer.json holds both), README.md, and the part of the
#     chat template that is for tools
#   - what a GPU does: bfloat16 training, flash attention, CUDA graphs (tests/gpu walks the same road on a card)
# What is trained otherwise than the configuration says is listed, with the reason, when the training starts.
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
