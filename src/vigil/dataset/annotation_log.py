"""The log of model descriptions: one JSON line per window, appended at once, so that no window is asked about twice.

{"clip": ..., "kind": "window", "window": 0, "start_s": 0.0, "end_s": 2.5, "label": "alarm", "model": ...,
 "status": "accepted", "answer": "是的，...", "reason": "", "asked": 1, "at_utc": ...}
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from vigil.config import from_mapping
from vigil.dataset.examples import TrainingExample
from vigil.errors import ConfigError, DatasetError
from vigil.files import os_errors_as

LOG_NAME = "annotations.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a model wrote about a window, and whether it was accepted; `reason` says why not."""

    clip: str
    kind: str
    window: int
    start_s: float
    end_s: float
    label: str
    model: str
    status: Literal["accepted", "rejected"]
    answer: str = ""
    reason: str = ""
    asked: int = 1
    at_utc: str = ""

    @property
    def key(self) -> tuple[str, str, int, float, float]:
        """The identity of the window, equal to `TrainingExample.key`."""
        return (self.clip, self.kind, self.window, self.start_s, self.end_s)

    def fits(self, example: TrainingExample) -> bool:
        """Whether this was written for this window and this label."""
        return self.key == example.key and self.label == example.label


def read_annotations(folder: Path) -> list[Annotation]:
    """The annotations so far; an incomplete last line, as a killed job leaves it, is ignored.

    Raises DatasetError if any other line is damaged.
    """
    path = folder / LOG_NAME
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    annotations = []
    for number, line in enumerate(lines, start=1):
        try:
            annotations.append(from_mapping(Annotation, json.loads(line), where=f"{path}, line {number}"))
        except (ValueError, AttributeError, ConfigError) as error:
            if number < len(lines):
                raise DatasetError(f"{path}, line {number} is damaged; delete the line and run again") from error
    return annotations


class AnnotationLog:
    """Appends annotations to the log of a dataset; each is flushed to disk before `append` returns."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOG_NAME
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with os_errors_as(self.path):
            _end_last_line(self.path)
            self._file = self.path.open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, annotation: Annotation) -> None:
        """Writes one line."""
        assert self._file is not None
        line = json.dumps(asdict(annotation), ensure_ascii=False) + "\n"
        with os_errors_as(self.path):
            self._file.write(line.encode("utf-8", "backslashreplace"))
            self._file.flush()
            os.fsync(self._file.fileno())


def _end_last_line(path: Path) -> None:
    """Truncates an incomplete last line, so that the next line is not appended to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
