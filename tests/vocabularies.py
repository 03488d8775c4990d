"""Qwen's true vocabularies for tests: as tokenizers, and as the folder of a model that has one."""

from functools import cache
from pathlib import Path

from tokenizers import Tokenizer
from tools.tiny_base.vocabulary import QWEN3_5, QWEN3_VL, load_vocabulary

NAMES = (QWEN3_VL, QWEN3_5)


@cache
def tokenizer_of(name: str) -> Tokenizer:
    """One of Qwen's tokenizers, made once a process: it takes seconds."""
    return load_vocabulary(name).tokenizer()


def ids(name: str, text: str) -> tuple[int, ...]:
    """The tokens of a text in one of Qwen's vocabularies."""
    return tuple(tokenizer_of(name).encode(text).ids)


def save_tokenizer(name: str, folder: Path) -> Path:
    """A folder with the tokenizer.json of a model that has this vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer_of(name).save(str(folder / "tokenizer.json"))
    return folder
