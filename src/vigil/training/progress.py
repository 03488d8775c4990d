"""How far a training is: LLaMA-Factory's `trainer_log.jsonl`, read while it grows."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

LOG_NAME = "trainer_log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingProgress:
    """One line of the log; `remaining` is a guess, as `h:mm:ss`."""

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
        time = f"{self.elapsed} gone, {self.remaining} left"
        return f"step {self.step}/{self.steps}{loss}{val}  epoch {self.epoch:.2f}  {time}"


class TrainerLog:
    """The lines of a log that have come since the last look.

    `begun_at` is the step that a training was gone on from: LLaMA-Factory divides the time of this run by the steps of
    all, and what it guesses from that is far too short.
    """

    def __init__(self, path: Path, *, from_start: bool = False, begun_at: int = 0) -> None:
        self._path = path
        self._begun_at = begun_at
        self._offset = path.stat().st_size if path.exists() and not from_start else 0
        self.last: TrainingProgress | None = None

    def news(self) -> Iterator[TrainingProgress]:
        """Every whole line that was added; a line that is still being written waits for the next look."""
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
                progress = _of_this_run(progress, self._begun_at)
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


def _of_this_run(progress: TrainingProgress, begun_at: int) -> TrainingProgress:
    """The same with what remains guessed from the steps of this run alone."""
    done, elapsed_s = progress.step - begun_at, _seconds(progress.elapsed)
    if begun_at == 0 or done <= 0 or elapsed_s is None:
        return progress
    remaining_s = round(elapsed_s * (progress.steps - progress.step) / done)
    return replace(progress, remaining=str(timedelta(seconds=remaining_s)))


def _seconds(text: str) -> int | None:
    """The seconds of a `timedelta` as text: `0:01:02`, `1 day, 3:00:00`; None for anything else."""
    match = re.fullmatch(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.\d+)?", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def speed_of_run(samples_per_second: object, *, steps: int, begun_at: int) -> float | None:
    """The samples a second of this run: the trainer counts those of the steps before a resume, too."""
    if not isinstance(samples_per_second, int | float) or steps <= begun_at:
        return None
    return round(samples_per_second * (steps - begun_at) / steps, 3)


def _loss(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
