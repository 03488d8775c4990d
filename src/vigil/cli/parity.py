"""`vigil parity`: checks that the server builds the same model inputs as training."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vigil.cli.options import (
    ENDPOINT,
    CaFileOption,
    JsonOption,
    KeyFileOption,
    ModelOption,
    UrlOption,
)
from vigil.files import require_writable_file
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.parity.compare import ParityReport, compare_dataset

SHOWN = 20


def parity(
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Dataset whose examples are compared.")] = Path("data"),
    limit: Annotated[int, typer.Option(metavar="N", help="Number of examples, drawn with a fixed seed.", min=1)] = 64,
    all_examples: Annotated[bool, typer.Option("--all", help="Compare all examples; --limit is ignored.")] = False,
    url: UrlOption = DEFAULT_URL,
    model: ModelOption = "",
    key_file: KeyFileOption = None,
    ca_file: CaFileOption = None,
    model_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=ENDPOINT,
            help="Folder of the served model. Default: the one the server names, if it is on this machine.",
        ),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Check that a server builds the same model inputs as training does.

    Compares the prompt tokens, image sizes and pixels of examples with those LLaMA-Factory trains on, and exits with
    1 if any differ. Needs scripts/setup.sh train, and setup.sh serve to compare pixels.

    Example: vigil parity --data data --url http://127.0.0.1:8000/v1
    """
    require_writable_file(json_file, "--json")
    console = Console(stderr=True, highlight=False)
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    with Progress(TextColumn("{task.completed} asked"), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("asked", total=None)
        report = asyncio.run(
            compare_dataset(
                data,
                endpoint,
                limit=None if all_examples else limit,
                model_dir=model_dir,
                on_stage=lambda message: bar.print(message, markup=False),
                on_done=lambda: bar.advance(task),
            )
        )
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(
            json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n",
            encoding="utf-8",
            errors="backslashreplace",
        )
    _show(report)
    if report.differences:
        raise typer.Exit(1)


def _show(report: ParityReport) -> None:
    windows = ", ".join(f"{number} of {frames} frames" for frames, number in report.frame_counts.items())
    pixels = report.largest_pixel_difference
    compared = "pixels not compared" if pixels is None else f"largest pixel difference {pixels:g}"
    typer.echo(f"{report.model}: {report.tokens} tokens; windows: {windows}; {len(report.grids)} sizes; {compared}")
    if report.differing:
        Console(width=160).print(_table(report))
    typer.echo(report.summary)


def _table(report: ParityReport) -> Table:
    table = Table("example", "frames", "what differs", "at", "trained", "served")
    for difference in report.differing[:SHOWN]:
        cells = (difference.example, difference.frames, difference.what, difference.at)
        table.add_row(*map(str, cells), repr(difference.trained), repr(difference.served))
    return table
