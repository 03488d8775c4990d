"""The command `vigil`: each subcommand parses its options, calls the library, and prints the result.

Results go to stdout; progress, warnings and errors to stderr, an error on one line. Exit codes: 0 done, 1 the job
failed, 2 the command or a setting was wrong.
"""

import io
import logging
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from vigil import __version__
from vigil.cli.help_panels import MAX_WIDTH
from vigil.cli.hints import RunnableHints, runnable
from vigil.cli.lazy_group import LazyGroup
from vigil.errors import JobError, VigilError
from vigil.file_names import readable
from vigil.files import explain_os_error

WIDTH = 132


@cache
def stderr_console() -> Console:
    """The one console for logs and live tables, shared so that they do not overwrite each other."""
    return wide_console(stderr=True)


def wide_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or 132 columns for a file or pipe, which has no width of its own."""
    console = Console(highlight=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH, stderr=stderr)


app = typer.Typer(
    name="vigil",
    cls=LazyGroup,
    help="Train a small vision-language model to recognise incidents, and watch cameras with it.",
    epilog="Usual order of work: synth, dataset build, train, export, serve, score, watch. "
    "`vigil COMMAND --help` shows the options and an example.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MAX_WIDTH},
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vigil {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log debug messages too.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_log_handler()], force=True)
    logging.getLogger("vigil").setLevel(logging.DEBUG if verbose else logging.INFO)


def _log_handler() -> logging.Handler:
    """Coloured levels on a terminal; whole lines in a file or a pipe, which has no width."""
    console = stderr_console()
    if console.is_terminal:
        handler: logging.Handler = RichHandler(console=console, show_time=False, show_path=False, markup=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.addFilter(RunnableHints())
    return handler


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; user errors never show a traceback."""
    _take_any_text()
    try:
        app(args=list(argv) if argv is not None else None)
    except VigilError as error:
        _print_error(str(error))
        return error.exit_code
    except OSError as error:
        logging.getLogger("vigil").debug("what the system refused:", exc_info=error)
        _print_error(explain_os_error(error))
        return JobError.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _take_any_text() -> None:
    """Shows bytes of file names that are not text, and characters the terminal lacks, as escapes like `\\udcb4`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_error(what: str) -> None:
    plain = "\n".join(map(readable, runnable(what).split("\n")))
    Console(stderr=True).print(f"vigil: {plain}", style="red", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
