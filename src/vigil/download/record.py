"""The record of a download: `vigil-download.json` beside a model says where its files came from and what they were."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vigil.config import from_mapping
from vigil.errors import ConfigError, ManifestError

log = logging.getLogger(__name__)

RECORD_NAME = "vigil-download.json"
CHUNK_BYTES = 1 << 20
LONG_BYTES = 1 << 30
"""From this size on, somebody who waits is told that a file is read whole."""

LOADED = frozenset({".safetensors", ".bin", ".pt", ".pth", ".json", ".jinja", ".model", ".txt", ".py"})
"""What a program that loads a model folder may read or run."""

OURS = "vigil"
"""Begins the names of files that Vigil itself puts beside a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file as it was when it came; size and time tell whether it must be read again to know its digest."""

    sha256: str
    size_bytes: int
    modified_ns: int

    def looks_the_same(self, path: Path) -> bool:
        """Whether a file has this size and time still, which is no proof of its content."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRecord:
    """What was fetched: `revision` is what was asked for, `commit` what it meant then (empty where untold)."""

    model: str
    source: str
    revision: str
    commit: str
    downloaded_utc: str
    files: Mapping[str, FileRecord]
    format: int = 1

    def write(self, folder: Path) -> Path:
        """Writes the record into its folder, whole or not at all."""
        path = folder / RECORD_NAME
        partial = path.with_suffix(".partial")
        partial.write_text(
            json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8", errors="backslashreplace"
        )
        partial.replace(path)
        return path

    def missing(self, folder: Path) -> list[str]:
        """The recorded files that are not there."""
        return [name for name in self.files if not (folder / name).is_file()]

    def problems(self, folder: Path) -> list[str]:
        """What is no longer as it came, one phrase a file; every file that is there is read whole."""
        gone = self.missing(folder)
        changed = [
            f"{name} has changed"
            for name, file in self.files.items()
            if name not in gone and sha256_of(folder / name) != file.sha256
        ]
        added = [f"{name} did not come with it" for name in _loaded(folder) if name not in self.files]
        return [*changed, *(f"{name} is missing" for name in gone), *added]

    def known_sha256(self, path: Path, name: str) -> str | None:
        """The digest of a file that looks as it came; None where it must be read to know."""
        file = self.files.get(name)
        return file.sha256 if file is not None and file.looks_the_same(path) else None


def read_record(folder: Path) -> DownloadRecord | None:
    """The record beside a model, None where there is none; raises ManifestError when it is damaged."""
    path = folder / RECORD_NAME
    again = "remove that file and run vigil download again"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read ({error}); {again}") from error
    try:
        files = {str(name): from_mapping(FileRecord, file, where=str(path)) for name, file in data.pop("files").items()}
        return DownloadRecord(**data, files=files)
    except (ConfigError, AttributeError, TypeError, KeyError) as error:
        raise ManifestError(f"{path} is damaged or of another version; {again}") from error


def record_of(folder: Path, *, model: str, source: str, revision: str, commit: str, utc: str) -> DownloadRecord:
    """The record of what lies in a folder now."""
    files = {name: _file_record(folder / name) for name in _files(folder)}
    return DownloadRecord(model=model, source=source, revision=revision, commit=commit, downloaded_utc=utc, files=files)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex; of a long one the log says that it is read."""
    if path.stat().st_size >= LONG_BYTES:
        log.info("reading %s (%.1f GB) for its SHA-256", path, path.stat().st_size / 1e9)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _file_record(path: Path) -> FileRecord:
    status = path.stat()
    return FileRecord(sha256=sha256_of(path), size_bytes=status.st_size, modified_ns=status.st_mtime_ns)


def _files(folder: Path) -> Iterator[str]:
    """Every file of the model, by its path in the folder; hidden ones are the hubs' own notes."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts) and not name.name.startswith(OURS):
            yield name.as_posix()


def _loaded(folder: Path) -> Iterator[str]:
    return (name for name in _files(folder) if Path(name).suffix in LOADED)
