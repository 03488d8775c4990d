"""P(alarm) of every example of a dataset, read from the first token of the answer, by LLaMA-Factory's own road.

Runs in the training environment: no server, so a model and an adapter are scored in seconds.

    .venv-train/bin/python benchmarks/first_token_scores.py SETTINGS.json OUT.json

SETTINGS are LLaMA-Factory's (model, adapter, dataset, template, frame sizes); OUT gets one number an example, in order.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import get_train_args
from llamafactory.model import load_model, load_tokenizer

BATCH = 16


def scores(settings: dict[str, Any], words: tuple[str, str]) -> list[float]:
    """P(alarm) / (P(alarm) + P(normal)) of each example."""
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(settings)
    loaded = load_tokenizer(model_args)
    tokenizer = loaded["tokenizer"]
    template = get_template_and_fix_tokenizer(tokenizer, data_args)
    dataset = get_dataset(template, model_args, data_args, training_args, stage="sft", **loaded)["train_dataset"]
    model = load_model(tokenizer, model_args, finetuning_args, is_trainable=False).eval()
    collator = SFTDataCollatorWith4DAttentionMask(template=template, model=model, **loaded)
    alarm, normal = (tokenizer.encode(word, add_special_tokens=False)[0] for word in words)
    found: list[float] = []
    for start in range(0, len(dataset), BATCH):
        rows = [dict(dataset[index]) for index in range(start, min(start + BATCH, len(dataset)))]
        found += _batch(model, collator(rows), alarm, normal)
    return found


def _batch(model: Any, batch: dict[str, Any], alarm: int, normal: int) -> list[float]:
    labels = batch.pop("labels")
    with torch.no_grad():
        logits = model(**batch).logits.float()
    # The last position of the prompt foretells the first token of the answer.
    last = (labels != IGNORE_INDEX).int().argmax(dim=1) - 1
    both = logits[torch.arange(len(last)), last][:, [alarm, normal]]
    return [float(p) for p in both.softmax(dim=1)[:, 0]]


if __name__ == "__main__":
    asked, answer = map(Path, sys.argv[1:3])
    told = json.loads(asked.read_text(encoding="utf-8"))
    words = tuple(told.pop("words"))
    answer.write_text(json.dumps(scores(told, (words[0], words[1]))), encoding="utf-8")
