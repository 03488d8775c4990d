"""Identifies a base model by digests, and checks the base and adapter that a training starts from.

base_digest(folder)      sixteen hex digits, fast: sizes, and the first and last MiB of each file
describe_base(folder)    name, revision and a SHA-256 over all files, read in full unless the download recorded them
known_sha256(folder)     that SHA-256 if it is known without reading a file
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from vigil.download.record import DownloadRecord, read_record, sha256_of
from vigil.errors import EnvironmentMissing, UsageError
from vigil.manifest import Base
from vigil.models.lora_adapter import read_adapter_weights
from vigil.models.lora_compatibility import why_misfit
from vigil.models.merge_check import read_tensors, ties_embeddings
from vigil.models.weight_files import incomplete, safetensors_damage, untrusted, weight_files


def check_checkpoint(folder: Path) -> None:
    """Raises EnvironmentMissing if the folder holds no complete model, or one that cannot be trained."""
    if not (folder / "config.json").is_file():
        raise EnvironmentMissing(
            f"there is no model at {folder}; fetch it with scripts/download_model.sh Qwen/{folder.name}, "
            "or name another folder: model_name_or_path=FOLDER"
        )
    _refuse(folder, untrusted(folder))
    again = f"run scripts/download_model.sh Qwen/{folder.name} again"
    weights = weight_files(folder)
    missing = [name for name in weights if not (folder / name).is_file()]
    if missing:
        raise EnvironmentMissing(
            f"the model at {folder} is not complete, {', '.join(missing[:3])} is missing; {again}, it resumes where it "
            "stopped"
        )
    for name in weights:
        damaged = safetensors_damage(folder / name)
        if damaged is not None:
            raise EnvironmentMissing(
                f"the model at {folder} is damaged: {name} {damaged}; remove that file and {again}"
            )
    _refuse(folder, incomplete(folder))


def check_adapter(folder: Path, base: Path) -> None:
    """Raises UsageError if the folder holds no adapter of this base, or its weights only as a .bin."""
    wrong = why_misfit(read_adapter_weights(folder), read_tensors(base), tied=ties_embeddings(base))
    if wrong:
        raise UsageError(f"{folder} does not fit {base}: it {wrong}; name another adapter_name_or_path, or none")


def _refuse(folder: Path, why: str) -> None:
    if why:
        raise EnvironmentMissing(f"the model at {folder} {why}")


CHUNK_BYTES = 1 << 20


def base_digest(folder: Path) -> str:
    """Sixteen hex digits that change with the weights: the digest of each file's name, size, first and last MiB."""
    digest = hashlib.sha256()
    for name in _model_files(folder):
        digest.update(f"{name} {(folder / name).stat().st_size}\n".encode())
        with (folder / name).open("rb") as file:
            digest.update(file.read(CHUNK_BYTES))
            file.seek(-min(CHUNK_BYTES, (folder / name).stat().st_size), 2)
            digest.update(file.read(CHUNK_BYTES))
    return digest.hexdigest()[:16]


def describe_base(folder: Path) -> Base:
    """The base model's identity for the manifest; files are hashed again only if they changed since the download.

    Raises EnvironmentMissing if a file is not the one that was downloaded.
    """
    record = read_record(folder)
    digests = {name: _sha256(folder, name, record) for name in _model_files(folder)}
    changed = [name for name in digests if record is not None and not _as_it_came(record, name, digests[name])]
    if changed:
        raise EnvironmentMissing(
            f"the model at {folder} is not what was fetched: {', '.join(changed[:3])} has changed since; find out who "
            "changed it, then remove the folder and fetch it again with scripts/download_model.sh"
        )
    sha256 = _of_all(digests)
    if record is None:
        return Base(name=folder.absolute().name, sha256=sha256)
    return Base(name=record.model, source=record.source, revision=record.commit or record.revision, sha256=sha256)


def recorded_sha256(folder: Path) -> str | None:
    """The digest that `describe_base` would return, if no file has to be read for it; else None."""
    record = read_record(folder)
    digests = {name: record.recorded_sha256(folder / name, name) for name in _model_files(folder)} if record else {}
    recorded = {name: sha256 for name, sha256 in digests.items() if sha256 is not None}
    return _of_all(recorded) if recorded and recorded.keys() == digests.keys() else None


def _sha256(folder: Path, name: str, record: DownloadRecord | None) -> str:
    recorded = record.recorded_sha256(folder / name, name) if record else None
    return recorded or sha256_of(folder / name)


def _as_it_came(record: DownloadRecord, name: str, sha256: str) -> bool:
    return name in record.files and record.files[name].sha256 == sha256


def _of_all(digests: Mapping[str, str]) -> str:
    """One digest of several files: the SHA-256 of the lines that `sha256sum` prints for them."""
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _model_files(folder: Path) -> tuple[str, ...]:
    return ("config.json", *weight_files(folder))
