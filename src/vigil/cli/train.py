"""`vigil train`: runs one training and shows its progress."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from vigil.training import TrainingPlan, TrainingProgress, plan_training
from vigil.training import train as run_training
from vigil.training.learning_curve import CURVE_NAME

PLAIN_EVERY_S = 10.0


def train(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG", help="Training settings: a name in configs/train or a LLaMA-Factory YAML file."
        ),
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Settings that replace those of the file.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete an earlier training in output_dir and start over.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print the settings, but train nothing.")
    ] = False,
) -> None:
    """Train a LoRA adapter with LLaMA-Factory; an interrupted training resumes at its last checkpoint.

    Example: vigil train tiny_lora dataset_dir=data output_dir=saves/first
    """
    arguments = overrides or []
    if dry_run:
        _show(plan_training(config, arguments))
        return
    console = Console(stderr=True)
    follower = _BarFollower(console) if console.is_terminal else _PlainFollower(console)
    with follower:
        outcome = run_training(config, arguments, fresh=fresh, on_progress=follower.show)
    typer.echo(_summary(outcome.output, outcome.figures))


def _show(plan: TrainingPlan) -> None:
    """Prints the settings as YAML that may be saved to a file; a comment above states the schedule."""
    typer.echo(f"# {plan.schedule}")
    typer.echo(yaml.safe_dump(plan.settings, allow_unicode=True, sort_keys=False), nl=False)
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _summary(output: Path, figures: dict[str, Any]) -> str:
    loss, speed, best = figures.get("final_loss"), figures.get("samples_per_second"), figures.get("best_val_loss")
    shown = f", loss {loss:.4f}" if loss is not None else ""
    rate = f", {speed:g} samples/s" if speed else ""
    held_out = f", best of step {figures.get('best_step')}: val loss {best:.4f}" if best is not None else ""
    picture = output / CURVE_NAME
    curve = f"\nloss curve: {picture}" if picture.is_file() else ""
    begun = figures.get("resumed_at_step") or 0
    steps = figures.get("steps") or 0
    taken = f"{steps} steps, {steps - begun} of them since it was resumed," if begun else f"{steps} steps"
    return f"{output}: {taken} in {figures.get('seconds')} s{rate}{shown}{held_out}{curve}"


class _PlainFollower:
    """Prints a line from time to time, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s = 0.0

    def __enter__(self) -> "_PlainFollower":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, progress: TrainingProgress) -> None:
        now_s = self._console.get_time()
        if now_s < self._next_s and progress.step < progress.steps:
            return
        self._next_s = now_s + PLAIN_EVERY_S
        print(progress, file=sys.stderr, flush=True)  # noqa: T201


class _BarFollower:
    """A progress bar, for terminals."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(TextColumn("{task.description}"), BarColumn(), console=console)
        self._task = self._bar.add_task("loading the model and the examples", total=None)

    def __enter__(self) -> "_BarFollower":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: TrainingProgress) -> None:
        self._bar.update(self._task, description=str(progress), total=progress.steps, completed=progress.step)
