"""The answers about a film as they arrive, one JSON line each, so that a killed run can be resumed.

A journal belongs to one film, model and question, named in its first line. A last line closes it when every window has
been asked; the next run of the same command then starts over. An incomplete last line, as of `kill -9`, is dropped.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from vigil.errors import JobError
from vigil.files import atomic_path, explain_os_error
from vigil.verdict import Answer, Cause
from vigil.windows import Window

COMPLETE = "complete"


class ActionJournal:
    """An append-only file of answers; without a path it keeps nothing. Raises JobError if it cannot be written."""

    def __init__(self, path: Path | None, *, header: Mapping[str, str], fresh: bool = False) -> None:
        self.path = path
        self._header = dict(header)
        self._answers: dict[str, dict[str, Any]] = {} if fresh or path is None else _interrupted(path, self._header)
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        if self.path is not None:
            with self._explained():
                self._begin(self.path)
                self._file = self.path.open("a", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A failed write has already been reported; closing tries it once more.
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()

    def answered(self, window: Window) -> Answer | None:
        """The answer of an interrupted run about a window; None if it has none."""
        line = self._answers.get(_key(window))
        if line is None:
            return None
        return Answer(
            cause=Cause.WORDS_ONLY,
            text=line["text"],
            tokens=line["tokens"],
            start_s=window.start_s,
            end_s=window.end_s,
        )

    def add(self, window: Window, answer: Answer) -> None:
        """Appends an answer; windows without one are asked again by the next run."""
        if answer.text is not None:
            self._append({"window": _key(window), "text": answer.text, "tokens": answer.tokens})

    def close_run(self) -> None:
        """Marks the run as complete, so that the next one starts over."""
        self._append({COMPLETE: True})

    def _begin(self, path: Path) -> None:
        with atomic_path(path) as partial, partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            for line in ({"journal": self._header}, *self._answers.values()):
                file.write(_line(line))

    def _append(self, data: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        with self._explained():
            self._file.write(_line(data))
            self._file.flush()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobError(f"the answers cannot be kept: {explain_os_error(error, self.path or '')}") from error


def _key(window: Window) -> str:
    return f"{window.start_s:.3f}-{window.end_s:.3f}"


def _line(data: Mapping[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"


def _interrupted(path: Path, header: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The answers of an unfinished run with the same header; a file that is none of ours has none."""
    if not path.is_file():
        return {}
    lines = list(_records(path))
    if not lines or lines[0].get("journal") != header or lines[-1].get(COMPLETE):
        return {}
    return {line["window"]: line for line in lines[1:] if _is_answer(line)}


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            data = json.loads(line)
            if isinstance(data, dict):
                yield data


def _is_answer(line: Mapping[str, Any]) -> bool:
    texts = isinstance(line.get("window"), str) and isinstance(line.get("text"), str)
    return texts and isinstance(line.get("tokens"), int)
