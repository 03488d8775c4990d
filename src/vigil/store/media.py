"""Pictures and clips of events: files beside the database, never half written.

A file is written under a name that says so (`x.partial.mp4`), brought to the disk, and only then given its own.

Which files belong to which event: what retention goes by.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Row, select

from vigil.files import keep_private, make_private_folder
from vigil.store.database import upsert
from vigil.store.schema import media
from vigil.store.times import utc_now

MediaKind: TypeAlias = Literal["snapshots", "clips", "frames"]
KINDS: tuple[MediaKind, ...] = ("snapshots", "clips", "frames")

PARTIAL = ".partial"

WriteMedia: TypeAlias = Callable[[Path], None]
"""Writes a file (or fills a folder, for frames) at the path it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file of an event; `path` is absolute or as the store's folder was given."""

    path: Path
    event_id: str
    kind: MediaKind
    size_bytes: int


def media_path(root: Path, kind: MediaKind, event_id: str, name: str) -> Path:
    """Where a medium of an event lies: `clips/ID.mp4`, `snapshots/ID.jpg`, `frames/ID/NAME`."""
    if kind == "frames":
        return root / kind / event_id / name
    return root / kind / f"{event_id}{name}"


def write_whole(path: Path, write: WriteMedia) -> int:
    """Lets `write` make a file or folder, which takes its name only when it is whole and on disk; returns its bytes."""
    for folder in reversed(path.parents[:3]):
        make_private_folder(folder)
    partial = path.with_name(f"{path.stem}{PARTIAL}{path.suffix}")
    _erase(partial)
    try:
        write(partial)
        if partial.is_dir():
            keep_private(partial)
        size_bytes = sum(_settle(file) for file in list_files(partial))
        _erase(path)
        partial.rename(path)
        _sync(path.parent)
    except BaseException:
        with _quietly():
            remove_media(partial)
        raise
    return size_bytes


def list_files(path: Path) -> list[Path]:
    """A file itself, or the files in a folder."""
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def remove_media(path: Path) -> None:
    """Deletes a medium that may be gone already, and the event's folder of frames once it is empty."""
    _erase(path)
    if path.parent.parent.name == "frames":
        with _quietly():
            path.parent.rmdir()


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def partial_files(root: Path) -> list[Path]:
    """What writers that were killed left behind (or are writing now)."""
    return [path for kind in KINDS for path in sorted((root / kind).rglob(f"*{PARTIAL}*"))]


def _settle(path: Path) -> int:
    """Brings a file to the disk, for its owner only; returns its bytes."""
    keep_private(path)
    return _sync(path)


def _sync(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except OSError:
        return


def add(connection: Connection, file: MediaFile, *, root: Path) -> None:
    """Notes a file; its path is kept relative to the store's folder, so that both can be moved together."""
    row = {
        "path": file.path.relative_to(root).as_posix(),
        "event_id": file.event_id,
        "kind": file.kind,
        "size_bytes": file.size_bytes,
        "created_utc": utc_now(),
    }
    upsert(connection, media, [row])


def of_event(connection: Connection, event_id: str, *, root: Path) -> list[MediaFile]:
    """An event's files, by path."""
    query = select(media).where(media.c.event_id == event_id).order_by(media.c.path)
    return [read(row, root=root) for row in connection.execute(query)]


def read(row: Row[*tuple[Any, ...]], *, root: Path) -> MediaFile:
    """A row as a file."""
    return MediaFile(path=root / row.path, event_id=row.event_id, kind=row.kind, size_bytes=row.size_bytes)
