"""`vigil compose`: composes one long video with known onsets from a folder of clips, for watching and scoring."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.cli.dataset_options import DatasetTask
from vigil.counted import counted
from vigil.dataset.clips import find_clips
from vigil.dataset.compose import ComposedVideo, compose_video
from vigil.errors import UsageError
from vigil.questions import load_question

PLAIN_EVERY_S = 30.0
SMALLEST_PX, LARGEST_PX = 64, 4096


def compose(
    clips: Annotated[
        Path,
        typer.Argument(
            metavar="CLIPS", help="Folder with one subfolder of clips per class, as for a dataset (fight/, normal/)."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Video to write (.mp4); the ground truth is written beside it as .csv."),
    ],
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Approximate length of the video in seconds.", min=10, max=86_400)
    ] = 300.0,
    incident: Annotated[
        float,
        typer.Option(
            metavar="S",
            help="Length of an incident in seconds; clips are joined until it is reached. 0 uses one clip.",
            min=0,
            max=600,
        ),
    ] = 0.0,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Frame size in pixels; clips of another shape get black bars.")
    ] = "640x360",
    fps: Annotated[float, typer.Option(metavar="FPS", help="Frames per second.", min=1, max=60)] = 25.0,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed that chooses the clips and the gaps between incidents.", min=0)
    ] = 0,
    task: DatasetTask = "fight",
) -> None:
    """Compose one long video from short clips, with incidents at known times.

    Most of the video is normal. The onset and end of each incident are written to a CSV file for `vigil score
    --timeline`. The same clips, seed and settings give the same video.

    Example: vigil compose clips --out long.mp4 --seconds 600
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out} must end in .mp4, the only format that is written")
    question = load_question(task)
    found = find_clips(clips, question)
    size_wh = parse_size(size)
    console = Console(stderr=True)
    columns = (TextColumn("composing"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} s"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        composed = compose_video(
            found.clips,
            out,
            seconds=seconds,
            seed=seed,
            size_wh=size_wh,
            fps=fps,
            incident_s=incident,
            normal_labels=[label.name for label in question.labels if not label.is_alarm],
            progress=_progress(bar, console, seconds=seconds),
        )
    typer.echo(summary(composed))


def _progress(bar: Progress, console: Console, *, seconds: float) -> Callable[[float, float], None]:
    """A callback that advances the bar or, in a log, prints a line from time to time."""
    bar_task = bar.add_task("composing", total=seconds)
    printed_s = 0.0

    def on_progress(written_s: float, wanted_s: float) -> None:
        nonlocal printed_s
        bar.update(bar_task, completed=written_s, total=wanted_s)
        if not console.is_terminal and written_s - printed_s >= PLAIN_EVERY_S:
            console.print(f"composing: {written_s:.0f} of {wanted_s:.0f} s")
            printed_s = written_s

    return on_progress


def parse_size(text: str) -> tuple[int, int]:
    """Parses `640x360` as two even numbers; raises UsageError."""
    match = re.fullmatch(r"(\d{2,5})[x×](\d{2,5})", text.strip().lower())
    if match is None:
        raise UsageError(f"--size {text!r} must be WIDTHxHEIGHT, such as 640x360")
    width, height = int(match[1]), int(match[2])
    if width % 2 or height % 2:
        raise UsageError(f"width and height must be even for H.264, not {width}x{height}")
    if not (min(width, height) >= SMALLEST_PX and max(width, height) <= LARGEST_PX):
        raise UsageError(f"width and height must be from {SMALLEST_PX} to {LARGEST_PX}, not {width}x{height}")
    return width, height


def summary(composed: ComposedVideo) -> str:
    """A line or two about what was written."""
    incidents_s = sum(one.end_s - one.onset_s for one in composed.incidents)
    incidents = counted(len(composed.incidents), "incident")
    lines = [
        f"{composed.video}: {composed.length_s:.0f} s, {incidents} ({incidents_s:.0f} s)",
        f"{composed.truth}: onset and end of each incident",
    ]
    if composed.unreadable:
        lines.append(f"left out, as they could not be read: {', '.join(composed.unreadable)}")
    return "\n".join(lines)
