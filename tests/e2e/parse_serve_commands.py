"""Runs on the serving environment's Python: has vLLM itself read command lines; prints what it understood.

    .venv-serve/bin/python tests/e2e/parse_serve_commands.py < COMMANDS.json

where COMMANDS.json holds {NAME: [WORD, ...], ...}, the words as they follow `vigil_server.py`.
"""

import json
import sys
from typing import Any

from vllm import AsyncEngineArgs
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser

SHOWN = ("max_model_len", "max_num_seqs", "max_num_batched_tokens", "api_server_count", "allowed_media_domains",
         "generation_config", "quantization", "middleware", "served_model_name", "max_loras")  # fmt: skip


def understood(words: list[str]) -> dict[str, Any]:
    arguments = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(words)
    validate_parsed_serve_args(arguments)
    config = AsyncEngineArgs.from_cli_args(arguments).create_model_config()
    told = {name: getattr(arguments, name) for name in SHOWN}
    return told | {"pictures": config.get_multimodal_config().mm_processor_kwargs}


if __name__ == "__main__":
    commands = json.load(sys.stdin)
    print(json.dumps({name: understood(words) for name, words in commands.items()}, default=str))
