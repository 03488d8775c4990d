"""`vigil join`: composes one long video with known onsets from a folder of clips, for watching and scoring."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vigil.counted import counted
from vigil.dataset.clips import find_clips
from vigil.dataset.compose import ComposedVideo
from vigil.dataset.compose import compose_video as join_clips
from vigil.errors import UsageError
from vigil.questions import load_question

PLAIN_EVERY_S = 30.0
SMALLEST_PX, LARGEST_PX = 64, 4096


def join(
    clips: Annotated[
        Path, typer.Argument(help="Folder with one subfolder per class, as for a dataset (fight/, normal/).")
    ],
    out: Annotated[Path, typer.Option(help="The video to write (.mp4); the truth is written beside it as .csv.")],
    seconds: Annotated[float, typer.Option(help="Approximate length in seconds.", min=10, max=86_400)] = 300.0,
    seed: Annotated[int, typer.Option(help="Seed of the choice of clips and gaps.", min=0)] = 0,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT; clips of another shape get black bars.")] = "640x360",
    fps: Annotated[float, typer.Option(help="Frames per second.", min=1, max=60)] = 25.0,
    incident: Annotated[
        float,
        typer.Option(
            help="Seconds per incident: clips are joined until it is that long; one clip by default.", min=0, max=600
        ),
    ] = 0.0,
    task: Annotated[str, typer.Option(help="Task name or YAML file, which gives the folders their meaning.")] = "fight",
) -> None:
    """Join clips into one long video: mostly normal, with incidents in between; a CSV lists their onsets and ends.

    Example: vigil join clips --out long.mp4 --seconds 600, then vigil score --timeline long.csv long.mp4
    """
    if out.suffix.lower() != ".mp4":
        raise UsageError(f"--out {out} must end in .mp4; an mp4 is what is written")
    found = find_clips(clips, load_question(task))
    size_wh = parse_size(size)
    console = Console(stderr=True)
    columns = (TextColumn("joining"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f} s"))
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bar:
        bar_task = bar.add_task("joining", total=seconds)
        told_s = 0.0

        def told(written_s: float, wanted_s: float) -> None:
            nonlocal told_s
            bar.update(bar_task, completed=written_s, total=wanted_s)
            if not console.is_terminal and written_s - told_s >= PLAIN_EVERY_S:
                console.print(f"joining: {written_s:.0f} of {wanted_s:.0f} s")
                told_s = written_s

        joined = join_clips(
            found.clips,
            out,
            seconds=seconds,
            seed=seed,
            size_wh=size_wh,
            fps=fps,
            incident_s=incident,
            progress=told,
        )
    typer.echo(summary(joined))


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


def summary(joined: ComposedVideo) -> str:
    """A line or two about what was written."""
    incidents_s = sum(one.end_s - one.onset_s for one in joined.incidents)
    lines = [
        f"{joined.video}: {joined.length_s:.0f} s, {counted(len(joined.incidents), 'incident')} ({incidents_s:.0f} s)",
        f"{joined.truth}: their onsets and ends",
    ]
    if joined.unreadable:
        lines.append(f"left out, as they could not be read: {', '.join(joined.unreadable)}")
    return "\n".join(lines)
