"""Runs `llamafactory-cli` as a child process, and reads its progress.

The output goes to a log file, errors are reported in one line, and no process is left behind. Progress comes from
LLaMA-Factory's `trainer_log.jsonl`, which is read while it grows.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from vigil.environments import Environment
from vigil.errors import JobError

IN_ONE_PROCESS = Path(__file__).resolve().parents[1] / "training_env" / "llamafactory_cli.py"
POLL_S = 0.5
CHECKPOINT_GRACE_S = 90.0
END_GRACE_S = 10.0
TAIL_LINES = 400
ERROR_LINE = re.compile(r"^(?:\S+\s)?(?P<error>[\w.]*(?:Error|Exception|Interrupt)\b.*)$")
HINTS = (
    (
        "out of memory",
        "lower per_device_train_batch_size and raise gradient_accumulation_steps, or use a qlora config",
    ),
    ("No space left on device", "free some disk space; the same command then resumes from the last checkpoint"),
    ("HfArgumentParser", "check the names in the configuration against LLaMA-Factory 0.9.5"),
    ("Address already in use", "another training holds that port; set MASTER_PORT to a free one"),
)


@contextlib.contextmanager
def plain_adapter(settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings with an adapter path without commas, because LLaMA-Factory splits the path at commas.

    If needed, the path is a symbolic link in a temporary folder, which exists while the block runs.
    """
    named = settings.get("adapter_name_or_path")
    if not isinstance(named, str) or ("," not in named and named == named.strip()):
        yield dict(settings)
        return
    with tempfile.TemporaryDirectory(prefix="vigil-adapter-") as folder:
        link = Path(folder, "adapter").absolute()
        link.symlink_to(Path(named).absolute())
        yield dict(settings) | {"adapter_name_or_path": str(link)}


class TrainingStopped(Exception):
    """The job was stopped on request (Ctrl-C, SIGTERM or a lost connection)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaFactoryProcess:
    """One call of `llamafactory-cli`; `forks` if the trainers are grandchildren (torchrun).

    `lock` is the descriptor of a lock that the child inherits, because it may outlive this process.
    """

    environment: Environment
    arguments: tuple[str, ...]
    log: Path
    variables: Mapping[str, str]
    forks: bool = False
    lock: int | None = None

    def run(self, *, tick: Callable[[], None] = lambda: None) -> None:
        """Runs the command to its end, calling `tick` about twice a second.

        Raises JobError with the last error of the log if it fails, and TrainingStopped after Ctrl-C, SIGTERM or SIGHUP.
        """
        with self.log.open("ab") as log, _stop_requests() as stop:
            child = subprocess.Popen(
                [*self._program(), *self.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self.environment.variables() | dict(self.variables),
                start_new_session=True,
                pass_fds=() if self.lock is None else (self.lock,),
            )
            try:
                self._wait(child, stop, tick)
            finally:
                _end(child)
        if stop:
            raise TrainingStopped
        if child.returncode != 0:
            raise JobError(self._failure(child.returncode))

    def _program(self) -> list[str]:
        whole = str(self.environment.program("llamafactory-cli"))
        return [whole] if self.forks else [str(self.environment.python), str(IN_ONE_PROCESS)]

    def _wait(self, child: "subprocess.Popen[bytes]", stop: list[int], tick: Callable[[], None]) -> None:
        stop_requested_s: float | None = None
        num_requests = 0
        while child.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(POLL_S)
            if not stop:
                tick()  # not after a stop request: if the terminal is gone, writing to it fails
            if stop and stop_requested_s is None:
                stop_requested_s, num_requests = time.monotonic(), len(stop)
                self._ask_to_stop(child)
            if stop_requested_s is not None and (
                len(stop) > num_requests or time.monotonic() - stop_requested_s > CHECKPOINT_GRACE_S
            ):
                return

    def _ask_to_stop(self, child: "subprocess.Popen[bytes]") -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            command = psutil.Process(child.pid)
            for process in (command.children() if self.forks else []) or [command]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()

    def _failure(self, code: int) -> str:
        tail = _tail(self.log)
        error = next((m["error"] for line in reversed(tail) if (m := ERROR_LINE.match(line.strip()))), "")
        killed = f" (killed by {signal.Signals(-code).name}; out of memory?)" if code < 0 else ""
        hint = next((advice for sign, advice in HINTS if any(sign in line for line in tail)), "")
        parts = [f"llamafactory-cli {self.arguments[0]} stopped with code {code}{killed}", error[:400], hint]
        return "; ".join(part for part in [*parts, f"the full output is in {self.log}"] if part)


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]


def _end(child: "subprocess.Popen[bytes]") -> None:
    """Kills whatever is left of the child's process group, even if the child itself has ended."""
    # By group, not by parent: a trainer whose parent has died has another parent, but stays in the group.
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_GRACE_S)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@contextlib.contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collects SIGINT, SIGTERM and SIGHUP while the block runs, instead of being terminated by them."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    signs = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        signs.append(signal.SIGHUP)
    before = {sign: signal.signal(sign, note) for sign in signs}
    try:
        yield received
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


LOG_NAME = "trainer_log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """One line of the log; `remaining` is an estimate as `h:mm:ss`."""

    step: int
    steps: int
    loss: float | None
    epoch: float
    elapsed: str
    remaining: str
    val_loss: float | None = None

    def __str__(self) -> str:
        loss = f"  loss {self.loss:.4f}" if self.loss is not None else ""
        val = f"  val loss {self.val_loss:.4f}" if self.val_loss is not None else ""
        time = f"{self.elapsed} elapsed, {self.remaining} left"
        return f"step {self.step}/{self.steps}{loss}{val}  epoch {self.epoch:.2f}  {time}"


class TrainerLog:
    """Reads the lines added to a log since the last call.

    `begun_at` is the step that the training was resumed from. LLaMA-Factory divides the time of this run by the steps
    of all runs, so its own estimate of the remaining time is far too short.
    """

    def __init__(self, path: Path, *, from_start: bool = False, begun_at: int = 0) -> None:
        self._path = path
        self._begun_at = begun_at
        self._offset = path.stat().st_size if path.exists() and not from_start else 0
        self.last: TrainingProgress | None = None

    def read_new(self) -> Iterator[TrainingProgress]:
        """Yields every complete line added; an incomplete last line is left for the next call."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                data = log.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            progress = _parse(line)
            if progress is not None:
                progress = _with_remaining(progress, self._begun_at)
                self.last = progress
                yield progress


def _parse(line: bytes) -> TrainingProgress | None:
    try:
        data = json.loads(line)
        return TrainingProgress(
            step=int(data["current_steps"]),
            steps=int(data["total_steps"]),
            loss=_loss(data.get("loss")),
            val_loss=_loss(data.get("eval_loss")),
            epoch=float(data.get("epoch", 0.0)),
            elapsed=str(data.get("elapsed_time", "")),
            remaining=str(data.get("remaining_time", "")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _with_remaining(progress: TrainingProgress, begun_at: int) -> TrainingProgress:
    """The progress with the remaining time estimated from the steps of this run only."""
    done, elapsed_s = progress.step - begun_at, _seconds(progress.elapsed)
    if begun_at == 0 or done <= 0 or elapsed_s is None:
        return progress
    remaining_s = round(elapsed_s * (progress.steps - progress.step) / done)
    return replace(progress, remaining=str(timedelta(seconds=remaining_s)))


def _seconds(text: str) -> int | None:
    """Seconds of a `timedelta` as text (`0:01:02`, `1 day, 3:00:00`); returns None for anything else."""
    match = re.fullmatch(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.\d+)?", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def speed_of_run(samples_per_second: object, *, steps: int, begun_at: int) -> float | None:
    """Samples per second of this run; the trainer's figure also counts the steps before a resume."""
    if not isinstance(samples_per_second, int | float) or steps <= begun_at:
        return None
    return round(samples_per_second * (steps - begun_at) / steps, 3)


def _loss(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
