"""How far a training is: LLaMA-Factory's `trainer_log.jsonl`, read while it grows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOG_NAME = "trainer_log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of the log; `remaining` is LLaMA-Factory's own guess, as `h:mm:ss`."""

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


class ProgressLog:
    """The lines of a log that have come since the last look."""

    def __init__(self, path: Path, *, from_start: bool = False) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() and not from_start else 0
        self.last: Progress | None = None

    def news(self) -> Iterator[Progress]:
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
                self.last = progress
                yield progress


def _parse(line: bytes) -> Progress | None:
    try:
        data = json.loads(line)
        return Progress(
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


def _loss(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
