"""The learning curve of a training: training loss, loss on the held-out split, and the best checkpoint."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

STATE_NAME = "trainer_state.json"
CURVE_NAME = "training_loss.png"
VAL_CURVE_NAME = "training_eval_loss.png"
SIZE_IN = (7.0, 4.6)
DPI = 120
STEEP = 20

Points: TypeAlias = tuple[tuple[int, float], ...]
"""(step, loss) pairs, sorted by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """The losses of a finished training by step; `best_step` is that of the best checkpoint, if one was selected."""

    train: Points
    val: Points = ()
    best_step: int | None = None

    @classmethod
    def of(cls, output: Path) -> Self:
        """Reads the curve of an output folder, also of a resumed training; empty if it is missing or unreadable."""
        try:
            state = json.loads((output / STATE_NAME).read_text(encoding="utf-8"))
            history = state["log_history"]
            best = re.search(r"checkpoint-(\d+)", str(state.get("best_model_checkpoint")))
            return cls(
                train=_points(history, "loss"),
                val=_points(history, "eval_loss"),
                best_step=int(best[1]) if best else None,
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(train=())

    def figures(self) -> dict[str, Any]:
        """The figures of the held-out split for the manifest; empty if there is no such split."""
        if not self.val:
            return {}
        losses = [round(loss, 5) for _, loss in self.val]
        best = dict(self.val).get(self.best_step) if self.best_step is not None else None
        return {"val_losses": losses, "best_step": self.best_step, "best_val_loss": best}

    def replace_pictures(self, output: Path) -> None:
        """Replaces LLaMA-Factory's two plots of one loss each by one plot of both."""
        if not self.train:
            return
        self.draw(output / CURVE_NAME)
        (output / VAL_CURVE_NAME).unlink(missing_ok=True)

    def draw(self, path: Path) -> Path:
        """Writes both losses as one PNG, with the best checkpoint marked; returns `path`."""
        from matplotlib.figure import Figure  # slow to import

        figure = Figure(figsize=SIZE_IN, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(*_columns(self.train), color="#1f77b4", label="training")
        if self.val:
            axes.plot(*_columns(self.val), color="#d62728", marker="o", label="held out (val)")
        if self.best_step is not None:
            axes.axvline(self.best_step, color="#555555", linestyle=":", label=f"best: step {self.best_step}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        if self._is_steep():
            axes.set_yscale("log", nonpositive="clip")
            # The default labels are formulas in fonts that few machines have, and each missing font logs warnings.
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        figure.savefig(path, dpi=DPI)
        return path

    def _is_steep(self) -> bool:
        """Whether the losses differ so much that a linear axis would show the later ones as flat."""
        losses = [loss for _, loss in (*self.train, *self.val) if loss > 0]
        return bool(losses) and max(losses) > STEEP * min(losses)


def _points(history: list[dict[str, Any]], key: str) -> Points:
    # A training resumed from an earlier checkpoint logs some steps twice; the later entry counts.
    losses = {int(entry["step"]): float(entry[key]) for entry in history if key in entry}
    return tuple(sorted(losses.items()))


def _columns(points: Points) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [loss for _, loss in points]
