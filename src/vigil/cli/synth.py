"""`vigil synth`: draws clips, so that everything can be tried without data."""

from pathlib import Path
from typing import Annotated

import typer

from vigil.cli.progress import progress_bar
from vigil.errors import SourceError, UsageError
from vigil.synth.clip import DEFAULT_DIFFICULTY, Scenes
from vigil.synth.dataset import FOLDERS, write_synth_dataset


def synth(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write fight/, normal/ and sources.csv to.")],
    task: Annotated[
        Scenes, typer.Option(help="Task whose classes are drawn; each class has a folder, for 异常声响 there is none.")
    ] = "fight",
    clips: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Number of clips; half of them show a fight, of anomaly9 a tenth each class.",
            min=2,
            max=1_000_000,
        ),
    ] = 600,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the drawn people and places.", min=0)] = 0,
    fps: Annotated[float, typer.Option(metavar="FPS", help="Frames per second of the videos.", min=4, max=60)] = 12.0,
    width: Annotated[int, typer.Option(metavar="PX", help="Frame width in pixels; even.", min=64, max=1920)] = 192,
    height: Annotated[int, typer.Option(metavar="PX", help="Frame height in pixels; even.", min=64, max=1080)] = 144,
    difficulty: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="From 0 (large figures, plain background) to 1 (small figures, dark, noisy).",
            min=0,
            max=1,
        ),
    ] = DEFAULT_DIFFICULTY,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes. Default: one per CPU core.", min=1)
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Delete the clips of an earlier run in that folder first.")
    ] = False,
) -> None:
    """Draw surveillance-like clips of incidents and everyday scenes, to try Vigil without data.

    The same seed gives the same clips. Existing clips are kept, so a repeated run resumes an interrupted one.

    Example: vigil synth clips --clips 600
    """
    folders = FOLDERS[task]
    if clips < len(folders):
        raise UsageError(f"--clips {clips} are too few for the {len(folders)} classes of {task}")
    if width % 2 or height % 2:
        raise UsageError(f"width and height must be even for H.264, not {width}x{height}")
    try:
        with progress_bar("drawing clips") as on_progress:
            found = write_synth_dataset(
                out,
                clips=clips,
                seed=seed,
                fps=fps,
                size_wh=(width, height),
                difficulty=difficulty,
                task=task,
                workers=jobs,
                fresh=fresh,
                progress=lambda done, total: on_progress(done, total, ""),
            )
    except OSError as error:
        raise SourceError(
            f"the clips cannot be written to {out}: {error.strerror or error}; what is written is whole, so free "
            "some space or choose another folder and run the same command again"
        ) from error
    *first, last = (f"{folder}/" for folder in folders)
    typer.echo(f"{out}: {found} clips in {', '.join(first)} and {last}, recordings in sources.csv")
    if task == "anomaly9":
        typer.echo("note: 异常声响 is a sound, which cannot be drawn: it has no clips, and no score", err=True)
