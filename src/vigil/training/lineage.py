"""The lineage of an adapter: the adapter that its training started from, and every dataset it was trained on.

Also computes digests of the files that the settings name besides base model and dataset, because paths may change.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vigil.errors import ManifestError
from vigil.manifest import Manifest, read_manifest
from vigil.training.config import TrainingConfig, dataset_names
from vigil.training.data import TrainingData

NAMED = ("adapter_name_or_path", "deepspeed", "fsdp_config")


def named_digests(settings: TrainingConfig) -> dict[str, str]:
    """Digests of the files and folders that the settings name, by key; paths that do not exist are left out."""
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
    """The file itself, or the adapter files of a folder: weights and configuration, without checkpoints."""
    if path.is_file():
        yield path
    else:
        yield from sorted(file for file in path.glob("adapter_*") if file.is_file())


ADAPTER = "adapter_name_or_path"


def lineage(settings: TrainingConfig, dataset: TrainingData) -> dict[str, Any]:
    """The entries for a manifest: `datasets`, newest last, and `began_from` if the training started from an adapter.

    An adapter that was not trained by Vigil has no known datasets, but its digest is included.
    """
    own = {
        "folder": Path(settings["dataset_dir"]).absolute().name,
        "names": dataset_names(settings),
        "digest": dataset.manifest.data_digest,
        "examples": dataset.examples,
    }
    named = settings.get(ADAPTER)
    if not named:
        return {"datasets": [own]}
    folder = Path(named)
    before = _manifest_of(folder)
    began: dict[str, Any] = {"adapter": folder.absolute().name, "digest": named_digests(settings).get(ADAPTER, "")}
    if before is None:
        return {"datasets": [own], "began_from": began}
    began |= {"created_utc": before.created_utc, "steps": before.training.get("steps")}
    if "began_from" in before.training:
        began["began_from"] = before.training["began_from"]
    return {"datasets": [*_datasets_of(before), own], "began_from": began}


def _manifest_of(folder: Path) -> Manifest | None:
    for place in (folder, folder.parent) if folder.name.startswith("checkpoint-") else (folder,):
        try:
            return read_manifest(place)
        except ManifestError:
            continue
    return None


def _datasets_of(manifest: Manifest) -> list[dict[str, Any]]:
    """The datasets of an adapter; for manifests without them, an entry made of its dataset digest."""
    datasets = manifest.training.get("datasets")
    return list(datasets) if datasets else [{"digest": manifest.data_digest, "examples": manifest.examples}]
