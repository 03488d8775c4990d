"""The record of a download: `vigil-download.json` beside a model holds the origin and digests of its files."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vigil.config import from_mapping
from vigil.errors import ConfigError, ManifestError
from vigil.files import write_json

log = logging.getLogger(__name__)

RECORD_NAME = "vigil-download.json"
CHUNK_BYTES = 1 << 20
LONG_BYTES = 1 << 30
"""From this size on, reading a file for its digest is logged, because it takes a while."""

LOADED = frozenset({".safetensors", ".bin", ".pt", ".pth", ".json", ".jinja", ".model", ".txt", ".py"})
"""Suffixes of files that a program loading the model may read or run."""

OURS = "vigil"
"""Prefix of the files that Vigil itself writes beside a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file as downloaded; if size and time are unchanged, its digest need not be computed again."""

    sha256: str
    size_bytes: int
    modified_ns: int

    def is_unchanged(self, path: Path) -> bool:
        """Whether a file still has this size and time, which does not prove that its content is unchanged."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size_bytes, self.modified_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRecord:
    """What was downloaded: `revision` as requested, and the `commit` it resolved to (empty if unknown)."""

    model: str
    source: str
    revision: str
    commit: str
    downloaded_utc: str
    files: Mapping[str, FileRecord]
    format: int = 1

    def write(self, folder: Path) -> Path:
        """Writes the record into its folder atomically; returns its path."""
        path = folder / RECORD_NAME
        write_json(path, asdict(self))
        return path

    def missing(self, folder: Path) -> list[str]:
        """The recorded files that do not exist."""
        return [name for name in self.files if not (folder / name).is_file()]

    def problems(self, folder: Path) -> list[str]:
        """Differences from the record, one phrase per file; reads every file to compute its digest."""
        missing_files = self.missing(folder)
        changed = [
            f"{name} has changed"
            for name, file in self.files.items()
            if name not in missing_files and sha256_of(folder / name) != file.sha256
        ]
        added = [f"{name} was not part of the download" for name in _loaded(folder) if name not in self.files]
        return [*changed, *(f"{name} is missing" for name in missing_files), *added]

    def recorded_sha256(self, path: Path, name: str) -> str | None:
        """The recorded digest if size and time are unchanged; returns None if the file must be read."""
        file = self.files.get(name)
        return file.sha256 if file is not None and file.is_unchanged(path) else None


def read_record(folder: Path) -> DownloadRecord | None:
    """The record beside a model; returns None if there is none, raises ManifestError if it is damaged."""
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
    """Makes a record of the files that are in a folder now."""
    files = {name: _file_record(folder / name) for name in _files(folder)}
    return DownloadRecord(model=model, source=source, revision=revision, commit=commit, downloaded_utc=utc, files=files)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex; logs a line for large files."""
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
    """The relative paths of the model's files; hidden ones belong to the hubs' packages and are left out."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts) and not name.name.startswith(OURS):
            yield name.as_posix()


def _loaded(folder: Path) -> Iterator[str]:
    return (name for name in _files(folder) if Path(name).suffix in LOADED)
