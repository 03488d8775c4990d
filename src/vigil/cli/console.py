"""Standard output for tables: a file or a pipe has no width of its own, so it gets enough for whole lines."""

from functools import cache

from rich.console import Console

WIDTH = 132


@cache
def stderr_console() -> Console:
    """The one console for logs and live tables: only what goes through the same one does not write over the other."""
    return wide_console(stderr=True)


def wide_console(*, stderr: bool = False) -> Console:
    """The terminal as it is, or 132 columns where there is none."""
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH, stderr=stderr)
