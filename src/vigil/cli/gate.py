"""`vigil gate`: measures what the gate before the model skips, and which incidents it loses.

vigil gate measure clips --json gate.json
vigil gate measure clips --gate person
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import islice
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
    ClipLevels,
    GateFigures,
    MeasuredGate,
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
    gate: Annotated[MeasuredGate, typer.Option(help="The gate: by motion, or by people.")] = "motion",
    threshold: Annotated[
        list[float] | None,
        typer.Option(
            metavar="LEVEL",
            help="Grey levels of motion, or a confidence from 0 to 1; may be repeated. Default: eight of them.",
        ),
    ] = None,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="Maximum frame area, as the watch has it.", min=4096)
    ] = FrameSampling().max_pixels,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")] = None,
) -> None:
    """Measure what a gate would skip, and how many incidents it would lose.

    It reads labelled clips. An incident is lost if all windows of its clip are skipped. The interval is exact
    (Clopper-Pearson, 95 %): none lost of 200 still means up to 1.8 of 100.

    Example: vigil gate measure clips --json gate.json
    """
    question, sampling = load_question(task), FrameSampling(max_pixels=max_pixels)
    tried = checked_thresholds(threshold or THRESHOLDS[gate], gate=gate)
    found = {folder: find_clips(folder, question).clips for folder in folders}
    with progress_bar(f"measuring the gate by {gate}") as on_progress:
        measured = measure_clips(
            [clip for clips in found.values() for clip in clips], sampling, gate=gate, progress=on_progress
        )
    figures = [figures_at(measured, each) for each in tried]
    if json_file is not None:
        counts = {folder: len(clips) for folder, clips in found.items()}
        plain = _plain(figures, gate) | {"folders": _by_folder(measured, counts, tried)}
        write_atomically(json_file, json.dumps(plain, indent=1, ensure_ascii=False) + "\n")
    _print(figures, gate)


def _by_folder(
    measured: Sequence[ClipLevels], counts: Mapping[Path, int], tried: Sequence[float]
) -> list[dict[str, Any]]:
    """The figures of each folder by itself, so that drawn and recorded clips are told apart."""
    left, told = iter(measured), []
    for folder, count in counts.items():
        own = list(islice(left, count))
        told.append({"folder": str(folder), "thresholds": [_row(figures_at(own, each)) for each in tried]})
    return told


def _plain(figures: Sequence[GateFigures], gate: MeasuredGate) -> dict[str, Any]:
    rows = [_row(each) for each in figures]
    return {"gate": gate, "highest_without_loss": highest_without_loss(figures), "thresholds": rows}


def _row(figures: GateFigures) -> dict[str, Any]:
    shares = {"normal_share": figures.normal_share, "normal_ci95": figures.normal_ci95, "lost_ci95": figures.lost_ci95}
    return asdict(figures) | shares


def _print(figures: Sequence[GateFigures], gate: MeasuredGate) -> None:
    table = Table(f"{gate}_gate", "normal windows skipped", "incident windows skipped", "incidents lost", box=None)
    for each in figures:
        low, high = each.normal_ci95
        normal = f"{each.normal_skipped} of {each.normal_windows} ({each.normal_share:.1%}; {low:.1%} to {high:.1%})"
        lost = f"{each.lost} of {each.incidents} (at most {each.lost_ci95[1]:.1%})"
        table.add_row(f"{each.threshold:g}", normal, f"{each.incident_skipped} of {each.incident_windows}", lost)
    wide_console().print(table)
    safe = highest_without_loss(figures)
    typer.echo("every threshold loses incidents; keep gate: none" if safe is None else f"no loss up to {safe:g}")
