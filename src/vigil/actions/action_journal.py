"""The answers about a film as they arrive, so that a killed run can be resumed (`vigil.journal_file`)."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vigil.journal_file import COMPLETE, JournalFile
from vigil.verdict import Answer, Cause
from vigil.windows import Window


class ActionJournal:
    """The answers of an interrupted run, and those of this one; without a path it keeps nothing.

    A journal belongs to one film, model and question, which its `header` names. Raises JobError if it cannot be
    written.
    """

    def __init__(self, path: Path | None, *, header: Mapping[str, str], fresh: bool = False) -> None:
        self._file = None if path is None else JournalFile(path, header=header, what="the answers")
        lines = [] if fresh or self._file is None else self._file.interrupted()
        self._answers = {line["window"]: line for line in lines if _is_answer(line)}

    def __enter__(self) -> Self:
        if self._file is not None:
            self._file.begin(self._answers.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        if self._file is not None and answer.text is not None:
            self._file.append({"window": _key(window), "text": answer.text, "tokens": answer.tokens})

    def close_run(self) -> None:
        """Marks the run as complete, so that the next one starts over."""
        if self._file is not None:
            self._file.append(COMPLETE)


def _key(window: Window) -> str:
    return f"{window.start_s:.3f}-{window.end_s:.3f}"


def _is_answer(line: Mapping[str, Any]) -> bool:
    texts = isinstance(line.get("window"), str) and isinstance(line.get("text"), str)
    return texts and isinstance(line.get("tokens"), int)
