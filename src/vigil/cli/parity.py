"""`vigil parity`: checks that the server builds the same model inputs as training."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from vigil.files import require_writable_file
from vigil.judge import Endpoint, read_key
from vigil.judge.endpoint import DEFAULT_URL
from vigil.parity.compare import ParityReport, compare_dataset

SHOWN = 20


def parity(
    data: Annotated[Path, typer.Option(help="A built dataset.")] = Path("data"),
    url: Annotated[str, typer.Option(help="The OpenAI-compatible endpoint.", envvar="VIGIL_URL")] = DEFAULT_URL,
    model: Annotated[str, typer.Option(help="The served model; may be omitted if there is only one.")] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key (else $VIGIL_API_KEY; .vigil/key on this machine).")
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(help="Certificates of your own authority, for https (else $SSL_CERT_FILE, or the system's)."),
    ] = None,
    model_dir: Annotated[
        Path | None, typer.Option(help="The model's folder, if the server is on another machine.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Number of examples to compare, drawn with a fixed seed.", min=1)] = 64,
    all_examples: Annotated[bool, typer.Option("--all", help="Compare every example.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Compare the prompts that a server builds with those LLaMA-Factory trains on: tokens, sizes, pixels.

    Exits with 1 if any example differs. Needs scripts/setup.sh train, and setup.sh serve for the pixels.

    Example: vigil parity --data data --url http://127.0.0.1:8000/v1
    """
    require_writable_file(json_file, "--json")
    console = Console(stderr=True, highlight=False)
    endpoint = Endpoint(url=url, model=model, api_key=read_key(key_file, url=url), ca_file=ca_file)
    with Progress(TextColumn("{task.completed} asked"), TimeElapsedColumn(), console=console, transient=True) as bar:
        asked = bar.add_task("asked", total=None)
        report = asyncio.run(
            compare_dataset(
                data,
                endpoint,
                limit=None if all_examples else limit,
                model_dir=model_dir,
                on_stage=lambda words: bar.print(words, markup=False),
                on_done=lambda: bar.advance(asked),
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
    told = "pixels not compared" if pixels is None else f"largest pixel difference {pixels:g}"
    typer.echo(f"{report.model}: {report.tokens} tokens; windows: {windows}; {len(report.grids)} sizes; {told}")
    if report.differing:
        Console(width=160).print(_table(report))
    typer.echo(report.summary)


def _table(report: ParityReport) -> Table:
    table = Table("example", "frames", "what differs", "at", "trained", "served")
    for difference in report.differing[:SHOWN]:
        cells = (difference.example, difference.frames, difference.what, difference.at)
        table.add_row(*map(str, cells), repr(difference.trained), repr(difference.served))
    return table
