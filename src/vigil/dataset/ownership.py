"""What Vigil wrote into a folder, and what somebody else did: theirs is never moved, changed or deleted.

Looked at before any work. What Vigil writes is known by what it holds, not by its name: other people call theirs
`anomaly-train.json` and `dataset_info.json` too.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vigil.dataset.examples import SPLITS, split_name, split_path
from vigil.errors import DatasetError, ManifestError
from vigil.files import PARTIAL, read_json
from vigil.manifest import MANIFEST_NAME, read_manifest

ASIDE_NAME = "answers-set-aside.json"
REFUSED_NAME = "import-refused.json"
REGISTRY_NAME = "dataset_info.json"
FRAME_FILE = re.compile(r"\d{3,}-\d+\.jpg|clip\.json|\.DS_Store|Thumbs\.db|desktop\.ini")
"""What a clip's folder of frames holds, and what file managers leave in every folder."""

OWN_KEY = "answer_digest"
"""Vigil gives every example one; nobody else does."""


def refuse_foreign(out: Path) -> None:
    """Raises DatasetError where a build would displace what Vigil did not write, or can no longer read."""
    _refuse_manifest(out / MANIFEST_NAME)
    _refuse_entries(out / REGISTRY_NAME)
    for path in (*(split_path(out, split) for split in SPLITS), out / ASIDE_NAME):
        _refuse_examples(path)
    for path in own_partials(out):
        _refuse_partial(path)
    for folder in out.glob(f"frames/*/*{PARTIAL}"):
        refuse_foreign_frames(folder)


def refuse_foreign_frames(folder: Path) -> None:
    """Raises DatasetError where a folder that a clip's frames are to take holds anything else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise foreign(folder, "is no folder of frames")
    for path in folder.iterdir():
        if path.is_dir() or not FRAME_FILE.fullmatch(path.name):
            raise foreign(path, "lies where frames of a clip are to go")


def refuse_foreign_report(path: Path) -> None:
    """Raises DatasetError where the list of refused rows would take the place of somebody's file."""
    if not path.exists():
        return
    data = _json(path)
    if not isinstance(data, dict) or not {"file", "left_out", "rows"} <= data.keys():
        raise foreign(path, "is no list of refused rows")


def own_partials(out: Path) -> list[Path]:
    """The half-written files that a killed build may have left."""
    names = (*(f"{split_name(split)}.json" for split in SPLITS), ASIDE_NAME, REGISTRY_NAME, REFUSED_NAME)
    paths = [out / f"{name}{PARTIAL}" for name in names] + [(out / MANIFEST_NAME).with_suffix(PARTIAL)]
    return [path for path in paths if path.exists()]


def foreign(path: Path, what: str) -> DatasetError:
    """The error for what is not Vigil's."""
    return DatasetError(
        f"{path} {what}, so Vigil did not write it or it is damaged, and it stays as it is; name another folder with "
        "--out, or mend it or move it away and run the same command again"
    )


def _refuse_manifest(path: Path) -> None:
    if not path.exists():
        return
    try:
        manifest = read_manifest(path.parent)
    except ManifestError as error:
        raise foreign(path, f"is no dataset's manifest ({error})") from error
    if manifest.base_model:
        raise foreign(path, f"is the manifest of a model ({manifest.base_model})")


def _refuse_entries(path: Path) -> None:
    if not path.exists():
        return
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise DatasetError(f"{path} must hold a JSON object; repair it, or move it away and build again")
    for split in SPLITS:
        name = split_name(split)
        entry = entries.get(name)
        if entry is not None and (not isinstance(entry, dict) or entry.get("file_name") != f"{name}.json"):
            raise foreign(path, f"has an entry {name!r} of somebody's own")


def _refuse_examples(path: Path) -> None:
    if not path.exists():
        return
    rows = _json(path)
    if not isinstance(rows, list):
        raise foreign(path, "is no list of examples")
    theirs = next((number for number, row in enumerate(rows) if not _is_own(row)), None)
    if theirs is None:
        return
    if any(_names_whole_videos(row) for row in rows):
        raise DatasetError(
            f"{path} names whole videos, so Vigil did not write it, and it stays as it is; name another folder with "
            f"--out, and bring it in with: vigil dataset import {path} --out FOLDER"
        )
    raise foreign(path, f"holds examples of somebody's own (example {theirs} has no {OWN_KEY!r})")


def _is_own(row: Any) -> bool:
    return isinstance(row, dict) and OWN_KEY in row


def _names_whole_videos(row: Any) -> bool:
    videos = row.get("videos") if isinstance(row, dict) else None
    named: Sequence[Any] = videos if isinstance(videos, list) else [videos]
    return any(isinstance(video, str) for video in named)


def _refuse_partial(path: Path) -> None:
    """A half-written file is Vigil's where it begins as one does, or not at all."""
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (b"", b"[", b"[\n", b"{", b"{\n"):
        raise foreign(path, "is no half-written file of a dataset")


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except DatasetError as error:
        raise foreign(path, f"cannot be read ({error})") from error
