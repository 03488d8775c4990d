"""How many tokens an example takes, against the length at which LLaMA-Factory cuts it off (`cutoff_len`).

A cut-off example loses pads that its pictures need, so the length is checked before training. With the
model's `tokenizer.json` the count is exact; without it, pictures are exact and text is counted from above.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vigil.dataset.answers import verdict_of
from vigil.dataset.examples import Example
from vigil.errors import DatasetError, EnvironmentMissing
from vigil.frames import GRID_PX
from vigil.tasks import Task


class TextTokens(Protocol):
    """Splits text into tokens, the marks of the chat template among them."""

    @property
    def exact(self) -> bool:
        """Whether the counts are the model's own."""
        ...

    def count(self, text: str) -> int:
        """How many tokens a text takes."""
        ...


@dataclass(frozen=True, slots=True)
class FromAbove:
    """A bound that needs no tokenizer: byte-level BPE never gives more tokens than there are bytes."""

    exact: bool = False

    def count(self, text: str) -> int:
        """The bytes of the text."""
        return len(text.encode())


@dataclass(frozen=True, slots=True)
class FromTokenizer:
    """The tokens of a `tokenizer.json`."""

    encode: Callable[[str], Any]
    exact: bool = True

    def count(self, text: str) -> int:
        """The tokens of the text."""
        return len(self.encode(text).ids)

    def first(self, text: str) -> str:
        """The part of the text that its first token covers."""
        start, end = self.encode(text).offsets[0]
        return text[start:end]


def load_tokenizer(folder: Path) -> FromTokenizer:
    """The tokenizer of a model folder.

    Raises DatasetError when there is none, EnvironmentMissing when the package `tokenizers` is not installed.
    """
    path = folder / "tokenizer.json" if folder.is_dir() else folder
    if not path.is_file():
        raise DatasetError(f"{folder} has no tokenizer.json; give the folder of the base model as --tokenizer")
    try:
        library = importlib.import_module("tokenizers")
    except ImportError as error:
        raise EnvironmentMissing("--tokenizer needs the package tokenizers: pip install 'vigil[tokenizer]'") from error
    tokenizer = library.Tokenizer.from_file(str(path))
    return FromTokenizer(lambda text: tokenizer.encode(text, add_special_tokens=False))


def visual_tokens(num_frames: int, size_wh: tuple[int, int]) -> int:
    """One token for 32x32 pixels of a pair of frames."""
    return -(-num_frames // 2) * (size_wh[0] // GRID_PX) * (size_wh[1] // GRID_PX)


def example_tokens(example: Example, size_wh: tuple[int, int], *, fps: float, text: TextTokens) -> int:
    """Tokens of the whole example as LLaMA-Factory's `qwen3_vl_nothink` lays it out."""
    marks = "".join(
        f"<{(2 * pair + 0.5) / fps:.1f} seconds><|vision_start|><|vision_end|>"
        for pair in range(-(-len(example.frames) // 2))
    )
    turn = f"<|im_start|>user\n{marks}{example.question}<|im_end|>\n<|im_start|>assistant\n"
    spelled = f"{turn}{example.answer}<|im_end|>\n"
    return visual_tokens(len(example.frames), size_wh) + text.count(spelled)


def split_words(examples: Sequence[Example], task: Task, tokenizer: FromTokenizer) -> list[str]:
    """Answers whose first token is not their whole verdict word, so that no probability could be read from it."""
    heads = {example.answer: verdict_of(example.answer, task) for example in examples}
    return [
        f"{answer[:20]!r} begins with the token {tokenizer.first(answer)!r}"
        for answer, label in heads.items()
        if label is not None and tokenizer.first(answer) != task.word(label)
    ]
