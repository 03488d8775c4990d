"""Dumps the prompt tokens and pixels that LLaMA-Factory trains on, from its own loader and collator.

    .venv-train/bin/python src/vigil/training_env/trained_prompts.py ASKED.json OUT.json

ASKED.json holds {"settings": {...}, "positions": whether to include the positions of each video's tokens}. Pixels are
reported as a digest and a few sampled values, because they are large. Runs in the training environment.
"""

import gc

gc.disable()  # during imports: collecting among objects that all stay would take a fifth of the start-up time

import atexit
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
from positions import mend_positions  # type: ignore[import-not-found]
from transformers import AutoConfig, AutoModelForImageTextToText

PROBES = 512
STEPS = 1e4


def trained_prompts(settings: dict[str, Any], *, positions: bool) -> list[dict[str, Any]]:
    """Returns one entry per example, in dataset order: `ids` up to the answer, `grid_thw`, and the pixel digest."""
    mend_positions()
    model_args, data_args, training_args, _, _ = get_train_args(settings)
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    dataset = get_dataset(template, model_args, data_args, training_args, stage="sft", **loaded)["train_dataset"]
    model = _empty_model(model_args.model_name_or_path) if positions else None
    collator = SFTDataCollatorWith4DAttentionMask(template=template, model=model, **loaded)
    return [_prompt_record(example, collator) for example in dataset]


def _empty_model(folder: str) -> Any:
    """Returns the model without weights, which is enough to compute positions."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder))


def _prompt_record(example: dict[str, Any], collator: Any) -> dict[str, Any]:
    frames = list(example["videos"][0])
    prompt = sum(label == IGNORE_INDEX for label in example["labels"])
    ids = [int(token) for token in example["input_ids"]]
    batch = collator([dict(example)])
    pixels = batch["pixel_values_videos"].float().numpy()
    return {
        "frames": frames,
        "ids": ids[:prompt],
        "answer": ids[prompt],
        "grid_thw": batch["video_grid_thw"][0].tolist(),
        **pixel_digest(pixels),
        **({"positions": _relative_positions(batch, collator.model.config)} if "position_ids" in batch else {}),
    }


def _relative_positions(batch: Any, config: Any) -> list[list[int]]:
    """Returns time, height and width of each video token and the token after it, relative to the first video token."""
    places = (batch["input_ids"][0] == config.video_token_id).nonzero().ravel()
    first, last = int(places[0]), int(places[-1])
    numbered = batch["position_ids"][-3:, 0, first : last + 2]
    prompts: list[list[int]] = (numbered - first).tolist()
    return prompts


def pixel_digest(pixels: np.ndarray) -> dict[str, Any]:
    """Returns a digest of the values, rounded to 1e-4, their shape, and `PROBES` evenly spaced values."""
    flat = np.ascontiguousarray(pixels, dtype=np.float64).ravel()
    places = np.linspace(0, flat.size - 1, PROBES).astype(np.int64)
    digest = hashlib.sha256(np.rint(flat * STEPS).astype(np.int32).tobytes()).hexdigest()
    return {"pixels": digest, "shape": list(pixels.shape), "probes": flat[places].tolist()}


if __name__ == "__main__":
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)  # skips the collection of loaded modules at exit, which takes seconds
    request, answer = map(Path, sys.argv[1:3])
    prompts = trained_prompts(**json.loads(request.read_text(encoding="utf-8")))
    answer.write_text(json.dumps(prompts), encoding="utf-8")
