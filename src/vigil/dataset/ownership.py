"""Protects files that Vigil did not write: they are never moved, changed or deleted.

Checked before any work. Files are recognised by their content, not their name, because files of other origin are
called `anomaly-train.json` and `dataset_info.json` too.
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
"""Files allowed in a clip's folder of frames, including those that file managers leave in every folder."""

OWN_KEY = "answer_digest"
"""A key that every example by Vigil has, and no other."""


def refuse_foreign(out: Path) -> None:
    """Raises DatasetError if a build would replace a file that Vigil did not write or cannot read."""
    _refuse_manifest(out / MANIFEST_NAME)
    _refuse_entries(out / REGISTRY_NAME)
    for path in (*(split_path(out, split) for split in SPLITS), out / ASIDE_NAME):
        _refuse_examples(path)
    for path in own_partials(out):
        _refuse_partial(path)
    for folder in out.glob(f"frames/*/*{PARTIAL}"):
        refuse_foreign_frames(folder)


def refuse_foreign_frames(folder: Path) -> None:
    """Raises DatasetError if the folder for a clip's frames holds anything else."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise foreign(folder, "is not a folder of frames")
    for path in folder.iterdir():
        if path.is_dir() or not FRAME_FILE.fullmatch(path.name):
            raise foreign(path, "is in the folder for a clip's frames")


def refuse_foreign_report(path: Path) -> None:
    """Raises DatasetError if the list of refused rows would overwrite a file that Vigil did not write."""
    if not path.exists():
        return
    data = _json(path)
    if not isinstance(data, dict) or not {"file", "left_out", "rows"} <= data.keys():
        raise foreign(path, "is not a list of refused rows")


def own_partials(out: Path) -> list[Path]:
    """The partial files that a killed build may have left."""
    names = (*(f"{split_name(split)}.json" for split in SPLITS), ASIDE_NAME, REGISTRY_NAME, REFUSED_NAME)
    # Earlier versions wrote the manifest as `vigil.partial`.
    manifests = (out / f"{MANIFEST_NAME}{PARTIAL}", (out / MANIFEST_NAME).with_suffix(PARTIAL))
    paths = [*(out / f"{name}{PARTIAL}" for name in names), *manifests]
    return [path for path in paths if path.exists()]


def foreign(path: Path, what: str) -> DatasetError:
    """The error for a file that is not Vigil's."""
    return DatasetError(
        f"{path} {what}, so Vigil did not write it or it is damaged, and it stays as it is; name another folder with "
        "--out, or repair it or move it away and run the same command again"
    )


def _refuse_manifest(path: Path) -> None:
    if not path.exists():
        return
    try:
        manifest = read_manifest(path.parent)
    except ManifestError as error:
        raise foreign(path, f"is not the manifest of a dataset ({error})") from error
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
            raise foreign(path, f"has a foreign entry {name!r}")


def _refuse_examples(path: Path) -> None:
    if not path.exists():
        return
    rows = _json(path)
    if not isinstance(rows, list):
        raise foreign(path, "is not a list of examples")
    theirs = next((number for number, row in enumerate(rows) if not _is_own(row)), None)
    if theirs is None:
        return
    if any(_names_whole_videos(row) for row in rows):
        raise DatasetError(
            f"{path} names whole videos, so Vigil did not write it, and it stays as it is; name another folder with "
            f"--out, and bring it in with: vigil dataset import {path} --out FOLDER"
        )
    raise foreign(path, f"holds foreign examples (example {theirs} has no {OWN_KEY!r})")


def _is_own(row: Any) -> bool:
    return isinstance(row, dict) and OWN_KEY in row


def _names_whole_videos(row: Any) -> bool:
    videos = row.get("videos") if isinstance(row, dict) else None
    named: Sequence[Any] = videos if isinstance(videos, list) else [videos]
    return any(isinstance(video, str) for video in named)


def _refuse_partial(path: Path) -> None:
    """Accepts a partial file only if it is empty or begins as Vigil's files do."""
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (b"", b"[", b"[\n", b"{", b"{\n"):
        raise foreign(path, "is not a partial file of a dataset")


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except DatasetError as error:
        raise foreign(path, f"cannot be read ({error})") from error
