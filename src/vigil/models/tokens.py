"""Counts the tokens of windows, training examples and attachments, exactly or as an upper bound.

LLaMA-Factory truncates an example at `cutoff_len` and vLLM rejects a prompt longer than its context, so counts must
never be too low. With a `tokenizer.json` the count of an example is exact.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vigil.errors import DatasetError, EnvironmentMissing
from vigil.frames import FrameSampling
from vigil.models.family import ModelFamily

TURN_TOKENS = 16
"""The marks around a user turn and the start of its answer, rounded up."""

IMAGE_OVERHEAD_TOKENS = 8
"""The marks around a single picture, and its time if the server accepts no video."""


class TokenCounter(Protocol):
    """Counts the tokens of text, including the marks of the chat template."""

    @property
    def exact(self) -> bool:
        """Whether the counts are exact rather than upper bounds."""
        ...

    def count(self, text: str) -> int:
        """The number of tokens of a text."""
        ...


@dataclass(frozen=True, slots=True)
class ByteBound:
    """An upper bound without a tokenizer: byte-level BPE never produces more tokens than bytes."""

    exact: bool = False

    def count(self, text: str) -> int:
        """The number of bytes of the text."""
        return len(text.encode())


@dataclass(frozen=True, slots=True)
class TokenizerCounter:
    """Counts with a `tokenizer.json`."""

    encode: Callable[[str], Any]
    exact: bool = True

    def count(self, text: str) -> int:
        """The number of tokens of the text."""
        return len(self.encode(text).ids)

    def ids(self, text: str) -> tuple[int, ...]:
        """The token ids of the text."""
        return tuple(self.encode(text).ids)

    def begins(self, text: str, count: int) -> str:
        """The part of the text that its first `count` tokens cover."""
        offsets = self.encode(text).offsets[:count]
        return text[: offsets[-1][1]] if offsets else ""


def load_token_counter(folder: Path) -> TokenizerCounter:
    """The tokenizer of a model folder.

    Raises DatasetError if there is none, EnvironmentMissing if the package `tokenizers` is not installed.
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


def group_tokens(family: ModelFamily, max_pixels: int) -> int:
    """The maximum number of tokens of one group of frames, each of at most `max_pixels` pixels."""
    return max_pixels // family.pixel_multiple**2 + family.group_overhead_tokens


def window_tokens(family: ModelFamily, sampling: FrameSampling, question: str) -> int:
    """The maximum number of prompt tokens of a window and its question; no tokenizer is needed."""
    groups = family.groups(sampling.frames) * group_tokens(family, sampling.max_pixels)
    around = family.video_overhead_tokens + family.system_overhead_tokens + TURN_TOKENS
    return groups + around + text_tokens(question)


def text_tokens(text: str) -> int:
    """An upper bound for a text: one per character, as in Chinese; English takes far fewer in Qwen's vocabulary."""
    return len(text)


def attachment_tokens(family: ModelFamily, size_wh: tuple[int, int], num_images: int, *, is_video: bool) -> int:
    """The maximum number of tokens of an attachment: pictures of one size, or the frames of a video."""
    if not is_video:
        return num_images * (family.cells(size_wh) + IMAGE_OVERHEAD_TOKENS)
    per_group = family.cells(size_wh) + family.group_overhead_tokens
    return family.groups(num_images) * per_group + family.video_overhead_tokens


def example_tokens(
    family: ModelFamily,
    answer: str,
    question: str,
    num_frames: int,
    size_wh: tuple[int, int],
    *,
    fps: float,
    counter: TokenCounter,
) -> int:
    """The number of tokens of a whole training example in LLaMA-Factory's layout."""
    spelled = f"{family.training_prompt(question, num_frames, fps)}{answer}<|im_end|>\n"
    return family.visual_tokens(num_frames, size_wh) + counter.count(spelled)
