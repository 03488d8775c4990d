"""Digests of what the settings of a training name beside base and dataset: it may lie elsewhere later."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from vigil.training.settings import TrainingConfig

NAMED = ("adapter_name_or_path", "deepspeed", "fsdp_config")


def named_digests(settings: TrainingConfig) -> dict[str, str]:
    """By their keys, the digests of the files and folders that the settings name; what is no file is left out."""
    paths = {key: Path(value) for key in NAMED if isinstance(value := settings.get(key), str)}
    return {key: _digest(path) for key, path in paths.items() if path.exists()}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(f"{file.relative_to(path) if file != path else ''}\n".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """The file, or what makes an adapter of a folder: its weights and their configuration, not its checkpoints."""
    if path.is_file():
        yield path
    else:
        yield from sorted(file for file in path.glob("adapter_*") if file.is_file())
