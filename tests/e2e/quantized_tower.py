"""Runs on the training environment's Python: which parts of a model are in 4 bits as LLaMA-Factory loads it here?

    .venv-train/bin/python tests/e2e/quantized_tower.py LLAMAFACTORY_CLI BASE as-it-is|ours

Prints how many linear layers of the vision tower and of the language model are quantized, and how many there are.
"""

import json
import runpy
import sys

import torch
from bitsandbytes.nn import Linear4bit
from llamafactory.hparams import ModelArguments
from llamafactory.model.model_utils import quantization
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer


def counted(program: str, base: str, how: str) -> dict[str, list[int]]:
    if how == "ours":
        runpy.run_path(program)["keep_the_tower_whole"]()
    wanted = ModelArguments(model_name_or_path=base, quantization_bit=4, quantization_method="bnb")
    wanted.compute_dtype = torch.bfloat16
    given: dict[str, object] = {}
    config, tokenizer = AutoConfig.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    quantization.configure_quantization(config, tokenizer, wanted, True, given)
    model = AutoModelForImageTextToText.from_pretrained(base, config=config, dtype=torch.bfloat16, **given)
    found = {"visual": [0, 0], "language_model": [0, 0]}
    for name, module in model.named_modules():
        part = next((part for part in found if f".{part}." in f".{name}."), None)
        if part and isinstance(module, torch.nn.Linear):
            found[part][0] += isinstance(module, Linear4bit)
            found[part][1] += 1
    return found


if __name__ == "__main__":
    print(json.dumps(counted(*sys.argv[1:])))
