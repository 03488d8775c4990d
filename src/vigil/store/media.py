"""Media of events: files beside the database, written atomically, and the table of which event each belongs to.

    store.media.keep(event.id, "clips", ".mp4", lambda path: footage.clip(path, from_s=0, to_s=9))
    store.media.of_event(event.id)

A file is written under a temporary name (`x.partial.mp4`), synced to disk and then renamed. Retention goes by the
table.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Row, select

from vigil.errors import StoreError
from vigil.files import PARTIAL, atomic_folder, atomic_path, keep_private, make_private_folder
from vigil.store.database import Database, translate_errors, upsert
from vigil.store.schema import media
from vigil.store.times import utc_now

MediaKind: TypeAlias = Literal["snapshots", "clips", "frames"]
KINDS: tuple[MediaKind, ...] = ("snapshots", "clips", "frames")

IDS_AT_ONCE = 500

WriteMedia: TypeAlias = Callable[[Path], None]
"""Writes a file at the given path, or for frames fills the folder there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file or folder of an event; `path` starts with the store's folder, absolute or relative as that was given."""

    path: Path
    event_id: str
    kind: MediaKind
    size_bytes: int


class MediaTable:
    """The media files of a store's events; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def keep(self, event_id: str, kind: MediaKind, name: str, write: WriteMedia) -> Path:
        """Stores a media file of a stored event: `write` creates it, then it is moved into place and gets its row.

        `name` is the suffix (`.mp4`, `.jpg`) of a clip or snapshot; for frames, the name of a folder that `write`
        fills. Returns the path. Raises StoreError if the disk is full, and whatever else `write` raises.
        """
        path = media_path(self._folder, kind, event_id, name)
        with translate_errors(f"keeping {kind} of event {event_id}", self._database.name):
            size_bytes = _write_whole(path, kind, write)
        file = MediaFile(path=path, event_id=event_id, kind=kind, size_bytes=size_bytes)
        try:
            with self._database.writing(f"noting {kind} of event {event_id}") as connection:
                insert_media(connection, file, root=self._folder)
        except StoreError:
            # A file without a row would never be deleted by retention.
            remove_media(path)
            raise
        return path

    def keep_frames(self, event_id: str, window: int, jpegs: Sequence[bytes]) -> Path:
        """Stores the exact JPEGs of a judged window: `frames/EVENT/WINDOW/0.jpg` and so on."""
        return self.keep(event_id, "frames", f"{window:06d}", lambda folder: _write_frames(folder, jpegs))

    def of_event(self, event_id: str) -> list[MediaFile]:
        """The files of an event, sorted by path."""
        query = select(media).where(media.c.event_id == event_id).order_by(media.c.path)
        with self._database.reading("reading media") as connection:
            return [media_file(row, root=self._folder) for row in connection.execute(query)]

    def of_events(self, event_ids: Sequence[str]) -> dict[str, list[MediaFile]]:
        """The files of these events, sorted by path, by event id; events without files are left out."""
        found: dict[str, list[MediaFile]] = {}
        with self._database.reading("reading media") as connection:
            for i in range(0, len(event_ids), IDS_AT_ONCE):
                some = media.c.event_id.in_(event_ids[i : i + IDS_AT_ONCE])
                for row in connection.execute(select(media).where(some).order_by(media.c.path)):
                    found.setdefault(row.event_id, []).append(media_file(row, root=self._folder))
        return found


def media_path(root: Path, kind: MediaKind, event_id: str, name: str) -> Path:
    """The path of a media file of an event: `clips/ID.mp4`, `snapshots/ID.jpg`, `frames/ID/NAME`."""
    if kind == "frames":
        return root / kind / event_id / name
    return root / kind / f"{event_id}{name}"


def _write_whole(path: Path, kind: MediaKind, write: WriteMedia) -> int:
    """Calls `write` for a temporary path, syncs what it wrote to disk and renames it; returns the size in bytes."""
    for folder in reversed(path.parents[:3]):
        make_private_folder(folder)
    with atomic_folder(path) if kind == "frames" else atomic_path(path, keep_suffix=True) as partial:
        write(partial)
        keep_private(partial)
        return sum(_make_private(file) for file in list_files(partial))


def _write_frames(folder: Path, jpegs: Sequence[bytes]) -> None:
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number}.jpg").write_bytes(jpeg)


def list_files(path: Path) -> list[Path]:
    """The file itself, or all files in a folder."""
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def remove_media(path: Path) -> None:
    """Deletes a media file if it exists, and the event's folder of frames once it is empty."""
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
    """Temporary files: left behind by writers that were killed, or being written now."""
    return [path for kind in KINDS for path in sorted((root / kind).rglob(f"*{PARTIAL}*"))]


def _make_private(path: Path) -> int:
    """Makes a file private; returns its size in bytes."""
    keep_private(path)
    return path.stat().st_size


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except OSError:
        return


def insert_media(connection: Connection, file: MediaFile, *, root: Path) -> None:
    """Inserts the row of a file; the path is stored relative to the store's folder, so both can be moved together."""
    row = {
        "path": file.path.relative_to(root).as_posix(),
        "event_id": file.event_id,
        "kind": file.kind,
        "size_bytes": file.size_bytes,
        "created_utc": utc_now(),
    }
    upsert(connection, media, [row])


def media_file(row: Row[*tuple[Any, ...]], *, root: Path) -> MediaFile:
    """The media file of a row."""
    return MediaFile(path=root / row.path, event_id=row.event_id, kind=row.kind, size_bytes=row.size_bytes)
