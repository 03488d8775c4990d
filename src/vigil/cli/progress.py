"""Progress of scores and long dataset jobs on stderr: a bar on a terminal, a line from time to time in a log."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.dataset.workers import ProgressCallback
from vigil.errors import JobError
from vigil.score.journal import JournalEntry
from vigil.verdict import Outcome

PLAIN_EVERY_S = 10.0


@contextmanager
def progress_bar(what: str, *, resumes: bool = True) -> Iterator[ProgressCallback]:
    """Shows progress from the first report on; if Ctrl-C ends a job that `resumes`, the JobError says how to resume."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    try:
        yield _on_terminal(progress, what) if console.is_terminal else _in_log(console, what)
    except KeyboardInterrupt as interrupt:
        if not resumes:
            raise
        raise JobError("stopped; what is complete was kept, and the same command resumes from there") from interrupt
    finally:
        _stop(progress)


def _stop(progress: Progress) -> None:
    if progress.live.is_started:
        progress.stop()


def _on_terminal(progress: Progress, what: str) -> ProgressCallback:
    number = progress.add_task(what, total=None)

    def on_progress(done: int, total: int, _name: str) -> None:
        progress.start()
        progress.update(number, completed=done, total=total)

    return on_progress


def _in_log(console: Console, what: str) -> ProgressCallback:
    due_s = time.monotonic() + PLAIN_EVERY_S

    def on_progress(done: int, total: int, _name: str) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + PLAIN_EVERY_S
            console.print(f"{what}: {done} of {total}", highlight=False)

    return on_progress


class ScoreProgressBar:
    """A progress bar that observes a score; Ctrl-C becomes a JobError that says what was kept."""

    def __init__(self, model: str, *, clips: int, journal: Path) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips, {task.fields[windows]} windows, {task.fields[unknown]} unknown"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task(f"scoring {model}", total=clips, windows=0, unknown=0)
        self._journal = journal
        self._windows_left: Counter[str] = Counter()
        self._windows = 0
        self._unknown = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            raise JobError(
                f"stopped; {self._windows} verdicts are kept in {self._journal}: the same command resumes from there"
            ) from error

    def clip_read(self, name: str, windows: int) -> None:
        """Stores how many answers the clip needs."""
        self._windows_left[name] += windows

    def answered(self, record: JournalEntry) -> None:
        """Counts an answer, and its clip after the last one."""
        self._windows += 1
        self._unknown += record.outcome is Outcome.UNKNOWN
        self._windows_left[record.clip] -= 1
        done = self._windows_left[record.clip] <= 0
        self._progress.update(self._task, advance=int(done), windows=self._windows, unknown=self._unknown)
