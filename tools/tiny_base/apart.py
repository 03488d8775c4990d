"""Gives label words that the tiny base has never said rows of their own, so that a LoRA can tell them apart.

A token that no training text holds is only ever pushed down, and all such tokens in the same direction: after a
training their embedding rows are alike (cosine above 0.97), and no hidden state prefers one of them to another.
Qwen3-VL, which has read all of them, has no such rows. Here each gets a random part across that common direction. The
common part stays, so a base that is not trained on these words says them as seldom as before.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vigil.files import move_into_place

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS_NAME: Final = "model.safetensors"
ROWS_NAME: Final = "model.language_model.embed_tokens.weight"
ALIKE: Final = 0.9
"""Rows with a higher cosine than this to the common direction are untrained; those of trained words have far less."""

OWN_LENGTH: Final = 2.0
"""The length of the part of its own; rows of trained tokens are about 1.3 long, common parts about 2.5."""

SEED: Final = 9


def set_apart(base: Path, words: Iterable[str], *, kept: Iterable[str]) -> int:
    """Rewrite the weights of a base so that the tokens of these words differ; returns how many rows were changed.

    Tokens of the `kept` texts stay, since the base reads or says them, and so do rows that differ already.
    """
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    state = load_file(base / WEIGHTS_NAME)
    rows = state[ROWS_NAME].float()
    staying = {number for text in kept for number in tokenizer.encode(text).ids}
    wanted = {number for word in words for number in tokenizer.encode(word).ids} - staying
    common = _common(rows)
    chosen = [
        number for number in sorted(wanted) if float(torch.cosine_similarity(rows[number], common, dim=0)) > ALIKE
    ]
    if not chosen:
        return 0
    generator = torch.Generator().manual_seed(SEED)
    for number in chosen:
        own = torch.randn(len(common), generator=generator)
        own -= (own @ common) / (common @ common) * common
        rows[number] += OWN_LENGTH * own / own.norm()
    state[ROWS_NAME] = rows.to(state[ROWS_NAME].dtype)
    with safe_open(base / WEIGHTS_NAME, "pt") as file:
        metadata = file.metadata()
    with tempfile.TemporaryDirectory(dir=base.parent) as folder:
        made = Path(folder) / WEIGHTS_NAME
        save_file(state, made, metadata=metadata)
        made.chmod(0o644)
        move_into_place(made, base / WEIGHTS_NAME)
    return len(chosen)


def _common(rows: Tensor) -> Tensor:
    """The direction in which most rows, those of untrained tokens, lie."""
    import torch

    unit = torch.nn.functional.normalize(rows, dim=1)
    nearest = unit[(unit @ unit.mean(dim=0)).argmax()]
    return rows[(unit @ nearest) > ALIKE].mean(dim=0)
