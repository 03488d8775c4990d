"""What is scored: clips of known label, each giving the windows that the judge is asked about.

They come from a built dataset, whose stored frames are exactly what training read, or from video files
(`vigil.score.videos`).
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vigil.dataset.used_clips import stored_digest
from vigil.errors import DatasetError
from vigil.tasks import LabelName

EvalSplit = Literal["train", "val", "test", "calibration", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalWindow:
    """One window of a clip, as it is sent: its JPEGs and where in the clip they were."""

    clip: str
    window: int
    start_s: float
    end_s: float
    jpegs: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """Changes with the clip's name, the window's number and any of its pictures."""
        digest = hashlib.blake2b(f"{self.clip}\n{self.window}\n".encode("utf-8", "backslashreplace"), digest_size=12)
        for jpeg in self.jpegs:
            digest.update(len(jpeg).to_bytes(8, "big"))
            digest.update(jpeg)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalClip:
    """One labelled clip; `windows()` reads its pictures, and raises SourceError where it cannot.

    `digest()` names the file that it is, or was cut from (16 hex digits); empty where that cannot be known.
    """

    name: str
    label: LabelName
    group: str
    windows: Callable[[], list[EvalWindow]]
    digest: Callable[[], str] = str


def dataset_clips(folder: Path, split: EvalSplit) -> list[EvalClip]:
    """The clips of a built dataset, in its order; raises DatasetError when it is not one."""
    splits = _splits_of(folder) if split == "all" else [split]
    examples = [example for name in splits for example in _read_examples(folder, name)]
    if not examples:
        raise DatasetError(f"the {split} split of {folder} is empty; build it again with more clips")
    by_clip: dict[str, list[dict[str, Any]]] = {}
    for example in examples:
        by_clip.setdefault(example["clip"], []).append(example)
    return [_stored_clip(folder, name, its) for name, its in by_clip.items()]


def _splits_of(folder: Path) -> list[str]:
    found = sorted(path.stem.removeprefix("anomaly-") for path in folder.glob("anomaly-*.json"))
    if not found:
        raise DatasetError(f"{folder} holds no anomaly-*.json; make it with: vigil dataset build CLIPS")
    return found


def _read_examples(folder: Path, split: str) -> list[dict[str, Any]]:
    path = folder / f"anomaly-{split}.json"
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        share = " --calibration-share 0.2, and train on that" if split == "calibration" else ""
        raise DatasetError(f"{path} is not there; make it with: vigil dataset build CLIPS{share}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    needed = {"clip", "label", "videos"}
    if not isinstance(examples, list) or not all(isinstance(e, dict) and needed <= e.keys() for e in examples):
        raise DatasetError(f"{path} was not written by `vigil dataset build`: clip, label or videos are missing")
    return examples


def _stored_clip(folder: Path, name: str, examples: Sequence[dict[str, Any]]) -> EvalClip:
    first = examples[0]
    if any(example["label"] != first["label"] for example in examples):
        raise DatasetError(f"the windows of {name} in {folder} have different labels; build the dataset again")
    return EvalClip(
        name=name,
        label=first["label"],
        group=str(first.get("group") or name),
        windows=lambda: [_stored_window(folder, example) for example in examples],
        digest=lambda: stored_digest(folder, first),
    )


def _stored_window(folder: Path, example: dict[str, Any]) -> EvalWindow:
    return EvalWindow(
        clip=example["clip"],
        window=int(example.get("window", 0)),
        start_s=float(example.get("start_s", 0.0)),
        end_s=float(example.get("end_s", 0.0)),
        jpegs=tuple(_read_frame(folder / frame) for frame in example["videos"][0]),
    )


def _read_frame(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"the dataset names a frame that cannot be read: {path} ({error.strerror}); build it again"
        ) from error
