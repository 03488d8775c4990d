"""One name for all that a model is trained and scored on: the examples, and every byte of their frames."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vigil.dataset.clips import Split
from vigil.dataset.disk import read_json
from vigil.dataset.examples import SPLITS, TrainingExample, split_path


def dataset_digest(folder: Path, splits: Mapping[Split, Sequence[TrainingExample]]) -> str:
    """SHA-256 over the JSON files of the splits and, in the order of their first use, the frames they name."""
    frames = (frame for split in SPLITS for example in splits.get(split, ()) for frame in example.frames)
    return _digest(folder, _split_files(folder), frames)


def dataset_digest_on_disk(folder: Path, more: Iterable[Path] = ()) -> str:
    """The same of the files as they are now, whatever `vigil.json` says; `more` JSON files of examples count too."""
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
    """A frame's bytes; one that is gone makes another digest, and whoever needs it says so."""
    try:
        return path.read_bytes()
    except OSError:
        return b"gone"
