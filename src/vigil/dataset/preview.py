"""Writes one HTML page of contact sheets, to inspect by eye what a model is trained on.

    vigil dataset preview data

The page is self-contained and has no scripts. Names and texts are escaped, because their origin is unknown.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np

from vigil.dataset.answer_wording import authors, authors_text
from vigil.dataset.clips import Split
from vigil.dataset.examples import SPLITS, TrainingExample, read_splits
from vigil.dataset.folder import read_dataset_manifest
from vigil.dataset.frame_files import read_frame
from vigil.dataset.workers import ProgressCallback, no_progress
from vigil.errors import DatasetError, UsageError
from vigil.files import os_errors_as, write_atomically
from vigil.frames import RGB, decode_jpeg, encode_jpeg, resize

SIGNATURE = b"body:has(#only-alarm:checked)"
"""Present in every preview page, also of older versions."""

SHEET_HEIGHT_PX = 120
SHEET_QUALITY = 75
GAP_PX = 3


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """A window on the page: its frames in a row as a base64 JPEG, or the reason why they cannot be shown."""

    split: Split
    example: TrainingExample
    picture: str = ""
    problem: str = ""


def write_preview(folder: Path, path: Path, *, limit: int | None, progress: ProgressCallback = no_progress) -> Path:
    """Writes the page for a dataset; with `limit`, for that many windows, evenly spaced over all of them."""
    if limit is not None and limit < 1:
        raise UsageError(f"--limit must be at least 1, or 0 for all windows, not {limit}")
    _, task = read_dataset_manifest(folder)
    splits = read_splits(folder, task)
    rows = [(split, example) for split in SPLITS for example in splits[split]]
    chosen = _evenly(rows, limit)
    sheets = []
    for number, (split, example) in enumerate(chosen, start=1):
        sheets.append(_sheet(folder, split, example))
        progress(number, len(chosen), example.clip)
    page = _template().render(
        title=f"{folder.resolve().name}: {task.title or task.name}",
        language=task.language,
        question=task.text,
        sheets=sheets,
        total=len(rows),
        words=authors_text(authors(example for _, example in rows)),
        splits=[split for split in SPLITS if splits[split]],
    )
    with os_errors_as(path):
        write_atomically(path, page)
    return path


def refuse_foreign_page(path: Path) -> None:
    """Raises UsageError if the preview would overwrite a file that Vigil did not write."""
    if path.exists() and not (path.is_file() and SIGNATURE in path.read_bytes()):
        raise UsageError(f"{path} was not written by Vigil and stays as it is; name another page with --out")


def _evenly(rows: Sequence[tuple[Split, TrainingExample]], limit: int | None) -> list[tuple[Split, TrainingExample]]:
    if limit is None or limit >= len(rows):
        return list(rows)
    return [rows[int(place)] for place in np.linspace(0, len(rows) - 1, limit).round()]


def _sheet(folder: Path, split: Split, example: TrainingExample) -> ContactSheet:
    try:
        images = [decode_jpeg(read_frame(folder, frame)) for frame in example.frames]
    except (DatasetError, ValueError) as error:
        return ContactSheet(split, example, problem=str(error))
    row = encode_jpeg(contact_sheet(images), quality=SHEET_QUALITY)
    return ContactSheet(split, example, picture=base64.b64encode(row).decode())


def contact_sheet(images: Sequence[RGB]) -> RGB:
    """Images side by side at the same height, with a gap between them."""
    height = min(SHEET_HEIGHT_PX, *(image.shape[0] for image in images))
    small = [_at_height(image, height) for image in images]
    gap = np.full((height, GAP_PX, 3), 255, np.uint8)
    parts = [part for image in small for part in (image, gap)][:-1]
    return np.concatenate(parts, axis=1)


def _at_height(image: RGB, height: int) -> RGB:
    return resize(image, (max(1, round(image.shape[1] * height / image.shape[0])), height))


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("preview.html")
