"""A dataset folder as a whole: its `dataset_info.json`, its digest, its manifest and its task.

LLaMA-Factory finds the splits through `dataset_info.json`; entries that Vigil did not write are kept. The digest
covers everything a model is trained and scored on: the examples and every byte of their frames.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vigil.dataset.clips import Split
from vigil.dataset.examples import SPLITS, TrainingExample, split_name, split_path
from vigil.dataset.ownership import REGISTRY_NAME
from vigil.errors import DatasetError, ManifestError
from vigil.files import os_errors_as, read_json, write_atomically
from vigil.manifest import MANIFEST_NAME, Manifest, read_manifest
from vigil.questions import Question


def write_dataset_info(folder: Path, splits: Iterable[Split]) -> Path:
    """Makes `dataset_info.json` list exactly these splits of Vigil's; keeps all other entries; returns its path.

    An unchanged file is not rewritten. Raises DatasetError if the file is damaged: it may hold entries of others, so
    it is not replaced.
    """
    path = folder / REGISTRY_NAME
    entries = read_dataset_info(path)
    before = dict(entries)
    present = set(splits)
    for split in SPLITS:
        entries.pop(split_name(split), None)
        if split in present:
            entries[split_name(split)] = _entry(split)
    if entries == before and path.exists():
        return path
    # LLaMA-Factory opens this file in the locale's encoding; ASCII is the same in all of them.
    with os_errors_as(path):
        write_atomically(path, json.dumps(entries, indent=2, ensure_ascii=True) + "\n")
    return path


def read_dataset_info(path: Path) -> dict[str, Any]:
    """The entries of a `dataset_info.json`; empty if there is no such file."""
    if not path.exists():
        return {}
    entries = read_json(path)
    if not isinstance(entries, dict):
        raise DatasetError(f"{path} must hold a JSON object; repair it, or move it away and build again")
    return entries


def _entry(split: Split) -> dict[str, Any]:
    return {
        "file_name": f"{split_name(split)}.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }


def dataset_digest(folder: Path, splits: Mapping[Split, Sequence[TrainingExample]]) -> str:
    """SHA-256 over the JSON files of the splits, then the frames they name in order of first use."""
    frames = (frame for split in SPLITS for example in splits.get(split, ()) for frame in example.frames)
    return _digest(folder, _split_files(folder), frames)


def dataset_digest_on_disk(folder: Path, more: Iterable[Path] = ()) -> str:
    """The same digest of the files as they are now; `more` JSON files of examples are included."""
    files = _split_files(folder)
    files |= {str(path): path for path in more if path not in files.values()}
    frames = (frame for path in files.values() for frame in _frames_in(path))
    return _digest(folder, files, frames)


def _split_files(folder: Path) -> dict[str, Path]:
    return {split: path for split in SPLITS if (path := split_path(folder, split)).is_file()}


def _frames_in(path: Path) -> Iterator[str]:
    rows: Any = read_json(path)
    for row in rows if isinstance(rows, list) else ():
        videos = row.get("videos") if isinstance(row, dict) else None
        if isinstance(videos, list) and videos and isinstance(videos[0], list):
            yield from map(str, videos[0])


def _digest(folder: Path, files: Mapping[str, Path], frames: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\n".encode("utf-8", "backslashreplace") + path.read_bytes())
    for frame in dict.fromkeys(frames):
        digest.update(_bytes_of(folder / frame))
    return digest.hexdigest()


def _bytes_of(path: Path) -> bytes:
    """The bytes of a frame; a missing frame changes the digest, and is reported where it is needed."""
    try:
        return path.read_bytes()
    except OSError:
        return b"gone"


def read_dataset_manifest(folder: Path) -> tuple[Manifest, Question]:
    """The manifest of a finished dataset, and its task; raises DatasetError if the folder is not a finished dataset."""
    if not (folder / MANIFEST_NAME).is_file():
        raise DatasetError(
            f"{folder} is not a finished dataset (no {MANIFEST_NAME}); make one with: vigil dataset build CLIPS "
            f"--out {folder} (the same command resumes an interrupted build)"
        )
    try:
        manifest = read_manifest(folder)
    except ManifestError as error:
        raise DatasetError(f"{error}; build the dataset again") from error
    return manifest, manifest.contract.as_question()
