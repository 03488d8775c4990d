#!/usr/bin/env bash
# Serves a model folder over an OpenAI-compatible endpoint, with frames processed exactly as in training.
#
#   ./vllm.sh MODEL_DIR [--lora NAME=ADAPTER_DIR] [--port 8000] [--host 127.0.0.1] [any flag of `vllm serve`]
#   ./vllm.sh models/my-model --max-num-seqs 64
#   ./vllm.sh models/Qwen3-VL-2B-Instruct --task fight --lora fight=saves/my-adapter
#
# Needs: scripts/setup.sh core serve. All options: ./vllm.sh --help. Reasons: docs/serving.md.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
vigil="$root/.venv/bin/vigil"
if [ ! -x "$vigil" ]; then
    case " $* " in
        *" --help "* | *" -h "*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    esac
    echo "vllm.sh: Vigil's environment is missing; make it with: scripts/setup.sh core serve" >&2
    exit 1
fi
exec "$vigil" serve "$@"
