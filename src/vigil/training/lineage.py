"""What an adapter has learnt from: the adapter that its training began from, and every dataset on the way."""

from pathlib import Path
from typing import Any

from vigil.errors import ManifestError
from vigil.manifest import Manifest, read_manifest
from vigil.training.dataset import TrainingData
from vigil.training.digests import named_digests
from vigil.training.settings import TrainingConfig, dataset_names

ADAPTER = "adapter_name_or_path"


def lineage(settings: TrainingConfig, dataset: TrainingData) -> dict[str, Any]:
    """For a manifest: `datasets`, the newest last, and `began_from` where it was an adapter.

    An adapter that Vigil has not trained tells of no datasets; its digest is there all the same.
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
    """What an adapter was trained on; before manifests told of it, the digest of its dataset."""
    told = manifest.training.get("datasets")
    return list(told) if told else [{"digest": manifest.data_digest, "examples": manifest.examples}]
