"""Which model is this? The digests of a base model's configuration and weights, for manifests and for comparing.

base_digest(folder)      sixteen digits, at once: sizes, and the first and last MiB of each file
describe_base(folder)    name, revision and a SHA-256 over all of it: read whole, unless its download's record knows
known_sha256(folder)     that SHA-256 where nothing must be read for it
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from vigil.download.record import DownloadRecord, read_record, sha256_of
from vigil.errors import EnvironmentMissing
from vigil.manifest import Base
from vigil.weights import weight_files

CHUNK_BYTES = 1 << 20


def base_digest(folder: Path) -> str:
    """Sixteen hex digits that change with the weights: of each file its name, size, first and last MiB."""
    digest = hashlib.sha256()
    for name in _model_files(folder):
        digest.update(f"{name} {(folder / name).stat().st_size}\n".encode())
        with (folder / name).open("rb") as file:
            digest.update(file.read(CHUNK_BYTES))
            file.seek(-min(CHUNK_BYTES, (folder / name).stat().st_size), 2)
            digest.update(file.read(CHUNK_BYTES))
    return digest.hexdigest()[:16]


def describe_base(folder: Path) -> Base:
    """Which model this is, for the manifest; what its download recorded is not read again unless it was touched.

    Raises EnvironmentMissing when a file is not the one that was fetched.
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


def known_sha256(folder: Path) -> str | None:
    """The digest that `describe_base` would tell, where no file must be read for it; else None."""
    record = read_record(folder)
    known = {name: record.known_sha256(folder / name, name) for name in _model_files(folder)} if record else {}
    told = {name: sha256 for name, sha256 in known.items() if sha256 is not None}
    return _of_all(told) if told and told.keys() == known.keys() else None


def _sha256(folder: Path, name: str, record: DownloadRecord | None) -> str:
    known = record.known_sha256(folder / name, name) if record else None
    return known or sha256_of(folder / name)


def _as_it_came(record: DownloadRecord, name: str, sha256: str) -> bool:
    return name in record.files and record.files[name].sha256 == sha256


def _of_all(digests: Mapping[str, str]) -> str:
    """One digest of several files: of the lines that `sha256sum` prints of them."""
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in digests.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def _model_files(folder: Path) -> tuple[str, ...]:
    return ("config.json", *weight_files(folder))
