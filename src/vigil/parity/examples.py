"""Reads the examples to compare from a built dataset: all of them or a seeded sample."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.errors import DatasetError

ENTRIES = ("anomaly-train", "anomaly-test")
VIDEO_MARK = "<video>"
SEED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One training example: its frame files, its question, and its JSON."""

    name: str
    frames: tuple[Path, ...]
    question: str
    data: dict[str, Any]

    @property
    def jpegs(self) -> tuple[bytes, ...]:
        """The frames as the judge sends them."""
        return tuple(frame.read_bytes() for frame in self.frames)


def read_examples(folder: Path) -> list[Example]:
    """Returns every example of a dataset folder, train and test; raises DatasetError if there is none."""
    entries = _json(folder / "dataset_info.json")
    names = [name for name in ENTRIES if name in entries]
    if not names:
        raise DatasetError(f"{folder / 'dataset_info.json'} names neither of {', '.join(ENTRIES)}")
    found = [_example(folder, data) for name in names for data in _json(folder / entries[name]["file_name"])]
    if not found:
        raise DatasetError(f"{folder} holds no example; build it with vigil dataset build")
    return found


def entries_in(folder: Path) -> list[str]:
    """Returns the entries of a dataset folder that contain examples."""
    entries = _json(folder / "dataset_info.json")
    return [name for name in ENTRIES if name in entries and _json(folder / entries[name]["file_name"])]


def sample_examples(examples: Sequence[Example], *, limit: int | None) -> list[Example]:
    """Returns a seeded sample in dataset order; all examples if `limit` is None.

    If the limit allows, the sample includes every window length, because servers differ most on short windows.
    """
    if limit is None or limit >= len(examples):
        return list(examples)
    order = list(range(len(examples)))
    random.Random(SEED).shuffle(order)
    firsts = {len(examples[index].frames): index for index in reversed(order)}
    chosen = list(dict.fromkeys([*firsts.values(), *order]))[:limit]
    return [examples[index] for index in sorted(chosen)]


def _example(folder: Path, data: dict[str, Any]) -> Example:
    try:
        prompt = str(data["messages"][0]["content"])
        frames = tuple(folder / frame for frame in data["videos"][0])
    except (KeyError, IndexError, TypeError) as error:
        raise DatasetError(f"{folder} holds an example that is no window of frames: {str(data)[:120]}") from error
    if not prompt.startswith(VIDEO_MARK) or prompt.count(VIDEO_MARK) != 1:
        raise DatasetError(
            f"an example's question must begin with one {VIDEO_MARK}, as the judge asks: {prompt[:80]!r}"
        )
    missing = next((frame for frame in frames if not frame.is_file()), None)
    if missing is not None:
        raise DatasetError(f"the frame {missing} is missing; build the dataset again with vigil dataset build")
    name = f"{data.get('clip', frames[0].parent.name)}#{data.get('window', 0)}"
    return Example(name=name, frames=frames, question=prompt.removeprefix(VIDEO_MARK), data=data)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing; build the dataset with vigil dataset build") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
