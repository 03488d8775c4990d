"""Training examples and their JSON: the sharegpt fields that LLaMA-Factory reads, plus where each example came from.

    {"messages": [{"role": "user", "content": "<video>QUESTION"}, {"role": "assistant", "content": "是的，..."}],
     "videos": [["frames/alarm/fi001/000-0.jpg", ...]],
     "clip": "fight/fi001.mp4", "label": "alarm", "group": "s03", "window": 0, "start_s": 0.0, "end_s": 2.5,
     "kind": "window", "described_by": "human", "answer_digest": "1f0c2a9b"}

Frame paths are relative to the dataset folder (LLaMA-Factory's `media_dir`). An answer that no longer matches
`answer_digest` was edited by hand and counts as a human's, whatever `described_by` says.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from vigil.dataset.answers import has_description, is_template, label_of_answer
from vigil.dataset.clips import Split
from vigil.errors import DatasetError
from vigil.files import os_errors_as, read_json, write_atomically
from vigil.questions import NORMAL, LabelName, Question

VIDEO_MARK = "<video>"
SPLITS: tuple[Split, ...] = ("train", "val", "calibration", "test")
TEMPLATE, HUMAN, NONE = "template", "human", "none"
KINDS = (HUMAN, "model", TEMPLATE, NONE)
"""Authors of a description, in the order in which they are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """One window, the question about it and the target answer.

    `kind` is window, crop or stretch; `described_by` is none, human, human:FILE (imported), model:NAME or template.
    """

    question: str
    answer: str
    frames: tuple[str, ...]
    clip: str
    label: LabelName
    group: str
    window: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    kind: str = "window"
    described_by: str = NONE

    @property
    def key(self) -> tuple[str, str, int, float, float]:
        """The identity of the window across builds: its clip, its kind and its position in time."""
        return (self.clip, self.kind, self.window, round(self.start_s, 3), round(self.end_s, 3))

    @property
    def author(self) -> str:
        """Who wrote the description: one of KINDS."""
        return self.described_by.partition(":")[0]

    @property
    def is_free(self) -> bool:
        """Whether neither a human nor a model described the window, so that its answer may be replaced."""
        return self.author in (TEMPLATE, NONE)

    def to_json(self) -> dict[str, Any]:
        """The example as a row of the JSON file."""
        return {
            "messages": [
                {"role": "user", "content": VIDEO_MARK + self.question},
                {"role": "assistant", "content": self.answer},
            ],
            "videos": [list(self.frames)],
            "clip": self.clip,
            "label": self.label,
            "group": self.group,
            "window": self.window,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "kind": self.kind,
            "described_by": self.described_by,
            "answer_digest": answer_digest(self.answer),
        }


def answer_digest(answer: str) -> str:
    """Eight hex digits of SHA-256 over an answer as Vigil wrote it, to detect later edits."""
    return hashlib.sha256(answer.encode("utf-8", "backslashreplace")).hexdigest()[:8]


def split_name(split: Split) -> str:
    """The dataset's name in `dataset_info.json`."""
    return f"anomaly-{split}"


def split_path(folder: Path, split: Split) -> Path:
    """The JSON file of a split."""
    return folder / f"{split_name(split)}.json"


def write_examples(path: Path, examples: Iterable[TrainingExample]) -> None:
    """Writes examples atomically as a JSON list, one per line."""
    lines = [json.dumps(example.to_json(), ensure_ascii=False) for example in examples]
    with os_errors_as(path):
        write_atomically(path, "[\n" + ",\n".join(lines) + "\n]\n")


def read_examples(path: Path, task: Question) -> list[TrainingExample]:
    """The examples of a JSON file; a file written by hand needs only `messages` and `videos`.

    Raises DatasetError naming the first example that does not have this form.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DatasetError(f"{path} must hold a list of examples")
    examples = []
    for number, row in enumerate(rows):
        try:
            examples.append(_from_json(row, task))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DatasetError(
                f"{path}, example {number}: not of the form that Vigil writes "
                f"({type(error).__name__}: {error}); build the dataset again"
            ) from error
    return examples


def read_splits(folder: Path, task: Question) -> dict[Split, list[TrainingExample]]:
    """The examples of a dataset folder by split; a split without a file is empty.

    Raises DatasetError if the folder holds no split at all.
    """
    present: list[Split] = [split for split in SPLITS if split_path(folder, split).is_file()]
    if not present:
        raise DatasetError(
            f"{folder} holds no {split_name('train')}.json; make it with: vigil dataset build CLIPS --out {folder}"
        )
    return {split: read_examples(split_path(folder, split), task) if split in present else [] for split in SPLITS}


def _from_json(row: Mapping[str, Any], task: Question) -> TrainingExample:
    user, assistant = row["messages"]
    if (user["role"], assistant["role"]) != ("user", "assistant"):
        raise ValueError("messages must be one of user and one of assistant")
    (video,) = row["videos"]
    if isinstance(video, str) or not video or not all(isinstance(frame, str) for frame in video):
        raise ValueError("videos must hold one list of frame files")
    if not user["content"].startswith(VIDEO_MARK):
        raise ValueError(f"the user's message must begin with {VIDEO_MARK}")
    clip = str(row.get("clip") or PurePosixPath(video[0]).parent)
    # An answer by hand may begin with no word of a label: of two labels it then counts as normal.
    label = row.get("label") or label_of_answer(assistant["content"], task) or _fallback(task)
    if label not in task.words():
        raise ValueError(f"label {label!r} is none of {', '.join(task.words())}")
    return TrainingExample(
        question=user["content"].removeprefix(VIDEO_MARK),
        answer=assistant["content"],
        frames=tuple(video),
        clip=clip,
        label=label,
        group=str(row.get("group") or clip),
        window=int(row.get("window", 0)),
        start_s=float(row.get("start_s", 0.0)),
        end_s=float(row.get("end_s", 0.0)),
        kind=str(row.get("kind", "window")),
        described_by=_author(row, assistant["content"], label, task),
    )


def _fallback(task: Question) -> LabelName:
    if task.has_two_labels:
        return NORMAL
    raise ValueError("there is no label, and the answer begins with the word of none")


def _author(row: Mapping[str, Any], answer: str, label: LabelName, task: Question) -> str:
    is_bare = not has_description(answer, task)
    if row.get("answer_digest") == answer_digest(answer):
        return NONE if is_bare else str(row.get("described_by", TEMPLATE))
    if is_bare and label_of_answer(answer, task) == label:
        return NONE
    return TEMPLATE if is_template(answer, task, label) else HUMAN
