"""`vigil gate`: measures what the gate before the model skips, and which incidents it loses.

vigil gate measure clips --json gate.json
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vigil.cli.help_panels import PanelCommand, command_group
from vigil.cli.main import wide_console
from vigil.cli.progress import progress_bar
from vigil.dataset.clips import find_clips
from vigil.files import write_atomically
from vigil.frames import FrameSampling
from vigil.questions import load_question
from vigil.watch.gate_measure import (
    THRESHOLDS,
    GateFigures,
    checked_thresholds,
    figures_at,
    highest_without_loss,
    measure_clips,
)

app = command_group("Measure the gate before the model.", example="vigil gate measure clips")


@app.callback()
def _group() -> None:
    """Keeps `measure` a command of its own: there is only this one so far."""


@app.command(cls=PanelCommand)
def measure(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Folders of clips, one folder per class in each.")
    ],
    task: Annotated[
        str, typer.Option(metavar="NAME", help="Task whose folder names say which clips show an incident.")
    ] = "fight",
    threshold: Annotated[
        list[float] | None,
        typer.Option(metavar="LEVELS", help="Grey levels of motion to try; may be repeated. Default: eight of them."),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Maximum frame area, as the watch has it.", min=4096)
    ] = FrameSampling().max_pixels,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
) -> None:
    """Measure which windows a motion gate would skip, and how many incidents it would lose, on labelled clips.

    An incident is lost if all windows of its clip are skipped. The interval is exact (Clopper-Pearson, 95 %): none lost
    of 200 still means up to 1.8 of 100.

    Example: vigil gate measure clips --json gate.json
    """
    question, sampling = load_question(task), FrameSampling(max_pixels=max_pixels)
    tried = checked_thresholds(threshold or THRESHOLDS)
    clips = [clip for folder in folders for clip in find_clips(folder, question).clips]
    with progress_bar("measuring motion") as on_progress:
        motions = measure_clips(clips, sampling, progress=on_progress)
    figures = [figures_at(motions, each) for each in tried]
    if json_file is not None:
        write_atomically(json_file, json.dumps(_plain(figures), indent=1, ensure_ascii=False) + "\n")
    _print(figures)


def _plain(figures: Sequence[GateFigures]) -> dict[str, Any]:
    rows = [
        asdict(each) | {"normal_share": each.normal_share, "normal_ci95": each.normal_ci95, "lost_ci95": each.lost_ci95}
        for each in figures
    ]
    return {"gate": "motion", "highest_without_loss": highest_without_loss(figures), "thresholds": rows}


def _print(figures: Sequence[GateFigures]) -> None:
    table = Table("motion_gate", "normal windows skipped", "incident windows skipped", "incidents lost", box=None)
    for each in figures:
        low, high = each.normal_ci95
        normal = f"{each.normal_skipped} of {each.normal_windows} ({each.normal_share:.1%}; {low:.1%} to {high:.1%})"
        lost = f"{each.lost} of {each.incidents} (at most {each.lost_ci95[1]:.1%})"
        table.add_row(f"{each.threshold:g}", normal, f"{each.incident_skipped} of {each.incident_windows}", lost)
    wide_console().print(table)
    safe = highest_without_loss(figures)
    typer.echo("every threshold loses incidents; keep gate: none" if safe is None else f"no loss up to {safe:g}")
