"""What a person sees of a running score, on stderr: clips done, windows answered, unknowns, windows a second."""

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.errors import JobError
from vigil.score.journal import JournalEntry
from vigil.verdict import Outcome


class ScoreProgressBar:
    """A progress bar that observes a run; Ctrl-C becomes a JobError that says what was kept."""

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
                f"stopped; {self._windows} verdicts are kept in {self._journal}: the same command goes on from there"
            ) from error

    def clip_read(self, name: str, windows: int) -> None:
        """Remembers how many answers make the clip complete."""
        self._windows_left[name] += windows

    def answered(self, record: JournalEntry) -> None:
        """Counts an answer, and the clip when it was its last."""
        self._windows += 1
        self._unknown += record.outcome is Outcome.UNKNOWN
        self._windows_left[record.clip] -= 1
        done = self._windows_left[record.clip] <= 0
        self._progress.update(self._task, advance=int(done), windows=self._windows, unknown=self._unknown)
