"""A journal: what a long job has done so far, one JSON line each, so that a killed run can be resumed.

Its first line names what it belongs to (a header), its last one, of a run that has ended, says that it is complete: the
next run of the same command then starts over. An incomplete last line, as left by `kill -9`, is dropped.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from vigil.errors import JobError
from vigil.files import atomic_path, explain_os_error

COMPLETE = {"complete": True}


class JournalFile:
    """An append-only file of JSON lines; `what` names its content in errors. Raises JobError if it fails."""

    def __init__(self, path: Path, *, header: Mapping[str, str], what: str) -> None:
        self.path = path
        self._header = dict(header)
        self._what = what
        self._file: IO[str] | None = None

    def interrupted(self) -> list[dict[str, Any]]:
        """The lines of an unfinished run with the same header; none if there is no such run."""
        if not self.path.is_file():
            return []
        lines = list(journal_lines(self.path))
        if not lines or lines[0].get("journal") != self._header or lines[-1].get("complete"):
            return []
        return lines[1:]

    def begin(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Writes the header and these lines, and opens the file for more."""
        with self._explained():
            with atomic_path(self.path) as partial, _opened(partial, "w") as file:
                for line in ({"journal": self._header}, *lines):
                    file.write(_text_of(line))
            self._file = _opened(self.path, "a")

    def append(self, line: Mapping[str, Any]) -> None:
        """Appends a line and flushes it to the operating system."""
        assert self._file is not None, "the journal is not open"
        with self._explained():
            self._file.write(_text_of(line))
            self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        # A failed write has already been reported; closing tries it once more.
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JobError(f"{self._what} cannot be kept: {explain_os_error(error, self.path)}") from error


def journal_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal that are whole."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            data = json.loads(line)
            if isinstance(data, dict):
                yield data


def _opened(path: Path, mode: str) -> IO[str]:
    return path.open(mode, encoding="utf-8", errors="backslashreplace")


def _text_of(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
