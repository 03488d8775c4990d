"""One name for all that a model is trained and scored on: the examples, and every byte of their frames."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from vigil.dataset.clips import Split
from vigil.dataset.disk import explained
from vigil.dataset.examples import SPLITS, Example, split_path


def data_digest(folder: Path, splits: Mapping[Split, Sequence[Example]]) -> str:
    """SHA-256 over both JSON files and, in the order of their first use, the frames they name."""
    digest = hashlib.sha256()
    frames: dict[str, None] = {}
    for split in SPLITS:
        path = split_path(folder, split)
        if path.is_file():
            digest.update(f"{split}\n".encode() + path.read_bytes())
        frames.update(dict.fromkeys(frame for example in splits.get(split, ()) for frame in example.frames))
    with explained(folder):
        for frame in frames:
            digest.update((folder / frame).read_bytes())
    return digest.hexdigest()
