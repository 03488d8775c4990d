"""How many tokens an example takes, against the length at which LLaMA-Factory cuts it off (`cutoff_len`).

A cut-off example loses pads that its pictures need, so the length is checked before training. With the
model's `tokenizer.json` the count is exact; without it, pictures are exact and text is counted from above.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vigil.dataset.answers import label_of_answer
from vigil.dataset.examples import TrainingExample
from vigil.errors import DatasetError, EnvironmentMissing
from vigil.frames import GRID_PX
from vigil.label_tokens import deciding_ids, indistinct_labels, indistinct_message
from vigil.questions import Task


class TokenCounter(Protocol):
    """Splits text into tokens, the marks of the chat template among them."""

    @property
    def exact(self) -> bool:
        """Whether the counts are the model's own."""
        ...

    def count(self, text: str) -> int:
        """How many tokens a text takes."""
        ...


@dataclass(frozen=True, slots=True)
class ByteBound:
    """A bound that needs no tokenizer: byte-level BPE never gives more tokens than there are bytes."""

    exact: bool = False

    def count(self, text: str) -> int:
        """The bytes of the text."""
        return len(text.encode())


@dataclass(frozen=True, slots=True)
class TokenizerCounter:
    """The tokens of a `tokenizer.json`."""

    encode: Callable[[str], Any]
    exact: bool = True

    def count(self, text: str) -> int:
        """The tokens of the text."""
        return len(self.encode(text).ids)

    def ids(self, text: str) -> tuple[int, ...]:
        """The tokens of the text by number."""
        return tuple(self.encode(text).ids)

    def begins(self, text: str, count: int) -> str:
        """The part of the text that its first tokens cover."""
        offsets = self.encode(text).offsets[:count]
        return text[: offsets[-1][1]] if offsets else ""


def load_token_counter(folder: Path) -> TokenizerCounter:
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
    return TokenizerCounter(lambda text: tokenizer.encode(text, add_special_tokens=False))


def visual_tokens(num_frames: int, size_wh: tuple[int, int]) -> int:
    """One token for 32x32 pixels of a pair of frames."""
    return -(-num_frames // 2) * (size_wh[0] // GRID_PX) * (size_wh[1] // GRID_PX)


def example_tokens(example: TrainingExample, size_wh: tuple[int, int], *, fps: float, text: TokenCounter) -> int:
    """Tokens of the whole example as LLaMA-Factory's `qwen3_vl_nothink` lays it out."""
    marks = "".join(
        f"<{(2 * pair + 0.5) / fps:.1f} seconds><|vision_start|><|vision_end|>"
        for pair in range(-(-len(example.frames) // 2))
    )
    turn = f"<|im_start|>user\n{marks}{example.question}<|im_end|>\n<|im_start|>assistant\n"
    spelled = f"{turn}{example.answer}<|im_end|>\n"
    return visual_tokens(len(example.frames), size_wh) + text.count(spelled)


def indistinct_words(task: Task, tokenizer: TokenizerCounter) -> list[str]:
    """Words of labels that no token tells apart, so that no probability could be read."""
    words = task.words()
    ids = {label: tokenizer.ids(word) for label, word in words.items()}
    return [indistinct_message(words[one], words[other]) for one, other in indistinct_labels(ids)]


def misread_answers(examples: Sequence[TrainingExample], task: Task, tokenizer: TokenizerCounter) -> list[str]:
    """Answers that teach other tokens than the ones that are read for their word, as 没有人 without a comma does.

    Empty also where the words themselves cannot be told apart.
    """
    ids = {label: tokenizer.ids(word) for label, word in task.words().items()}
    if any(indistinct_labels(ids)):
        return []
    read = {label: deciding_ids(ids, label) for label in ids}
    heads = {example.answer: label_of_answer(example.answer, task) for example in examples}
    return [
        f"{answer[:20]!r} begins with {tokenizer.begins(answer, len(read[label]))!r}"
        for answer, label in heads.items()
        if label is not None and tokenizer.ids(answer)[: len(read[label])] != read[label]
    ]
