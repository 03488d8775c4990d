"""`vigil synth`: draws clips, so that everything can be tried without data."""

from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.progress import progress_bar
from vigil.errors import SourceError, UsageError
from vigil.synth.clip import DEFAULT_DIFFICULTY
from vigil.synth.dataset import write_synth_dataset


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write fight/, normal/ and sources.csv into.")],
    clips: Annotated[int, typer.Option(help="Number of clips; half of them are fights.", min=2, max=1_000_000)] = 600,
    seed: Annotated[int, typer.Option(help="Seed of the people and places drawn.", min=0)] = 0,
    fps: Annotated[float, typer.Option(help="Frames per second of the videos.", min=4, max=60)] = 12.0,
    width: Annotated[int, typer.Option(help="Pixels.", min=64, max=1920)] = 192,
    height: Annotated[int, typer.Option(help="Pixels.", min=64, max=1080)] = 144,
    difficulty: Annotated[
        float, typer.Option(help="0: large figures on plain ground; 1: small, dark, noisy.", min=0, max=1)
    ] = DEFAULT_DIFFICULTY,
    jobs: Annotated[int | None, typer.Option(help="Processes (default: one per core).", min=1)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the clips that were drawn there before.")] = False,
) -> None:
    """Draw surveillance-like clips of fights and of everyday life, reproducible from a seed.

    Existing clips are kept, so a stopped run resumes. Example: vigil synth clips --clips 600
    """
    if width % 2 or height % 2:
        raise UsageError(f"width and height must be even for H.264, not {width}x{height}")
    try:
        with progress_bar("drawing clips") as told:
            there = write_synth_dataset(
                out,
                clips=clips,
                seed=seed,
                fps=fps,
                size_wh=(width, height),
                difficulty=difficulty,
                workers=jobs,
                fresh=fresh,
                progress=lambda done, total: told(done, total, ""),
            )
    except OSError as error:
        raise SourceError(
            f"the clips cannot be written to {out}: {error.strerror or error}; what is written is whole, so free "
            "some space or choose another folder and run the same command again"
        ) from error
    typer.echo(f"{out}: {there} clips in fight/ and normal/, recordings in sources.csv")
