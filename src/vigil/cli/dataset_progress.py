"""What a person sees of a long dataset job, on stderr: a bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.dataset.worker import ProgressCallback as Told
from vigil.errors import JobError

PLAIN_EVERY_S = 10.0


@contextmanager
def progress_bar(what: str, *, resumes: bool = True) -> Iterator[Told]:
    """Shows progress from its first report on; when Ctrl-C ends a job that `resumes`, the JobError says how."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console)
    try:
        yield _on_terminal(progress, what) if console.is_terminal else _in_log(console, what)
    except KeyboardInterrupt as interrupt:
        if not resumes:
            raise
        raise JobError("stopped; what is complete was kept, and the same command goes on from there") from interrupt
    finally:
        _stop(progress)


def _stop(progress: Progress) -> None:
    if progress.live.is_started:
        progress.stop()


def _on_terminal(progress: Progress, what: str) -> Told:
    number = progress.add_task(what, total=None)

    def told(done: int, total: int, _name: str) -> None:
        progress.start()
        progress.update(number, completed=done, total=total)

    return told


def _in_log(console: Console, what: str) -> Told:
    due_s = time.monotonic() + PLAIN_EVERY_S

    def told(done: int, total: int, _name: str) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + PLAIN_EVERY_S
            console.print(f"{what}: {done} of {total}", highlight=False)

    return told
