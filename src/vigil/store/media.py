"""Media of events: where their files are kept (`media_store`), and the table of which event each belongs to.

    store.media.keep(event.id, "clips", ".mp4", lambda path: footage.clip(path, from_s=0, to_s=9))
    store.media.of_event(event.id)
    store.media.local(file)             # a path to read it from, wherever it is kept

A file is written whole or not at all, then gets its row. Retention goes by the table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from vigil.errors import StoreError
from vigil.store.database import Database, translate_errors, upsert
from vigil.store.media_store import FRAMES, MediaKind, MediaStore, WriteMedia
from vigil.store.rows_of import rows_of
from vigil.store.schema import media
from vigil.store.times import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file or folder of an event; `path` begins as the store's folder was given, absolute or relative.

    `key` is its name in the media store. Where that is a bucket, `path` is where a local copy of it is once
    `MediaTable.local` has made one, and `place` is its address there; else `place` is the path. `begins_s` is the
    second of the source at which a clip begins, None if unknown.
    """

    path: Path
    key: str
    place: str
    event_id: str
    kind: MediaKind
    size_bytes: int
    begins_s: float | None = None


class MediaTable:
    """The media files of a store's events; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database, files: MediaStore) -> None:
        self.files = files
        self._database = database

    def keep(self, event_id: str, kind: MediaKind, name: str, write: WriteMedia) -> Path:
        """Stores a media file of a stored event: `write` creates it, then it is moved into place and gets its row.

        `name` is the suffix (`.mp4`, `.jpg`) of a clip or snapshot; for frames, the name of a folder that `write`
        fills. A float that it returns is the second of the source at which a clip begins. Returns the path. Raises
        StoreError if the disk is full, and whatever else `write` raises.
        """
        key = media_key(kind, event_id, name)
        told: list[object] = []
        with translate_errors(f"keeping {kind} of event {event_id}", self._database.name):
            size_bytes = self.files.put(key, lambda path: told.append(write(path)))
        begins_s = told[-1] if told and isinstance(told[-1], float) else None
        try:
            with self._database.writing(f"noting {kind} of event {event_id}") as connection:
                insert_media(connection, key, event_id=event_id, kind=kind, size_bytes=size_bytes, begins_s=begins_s)
        except StoreError:
            # A file without a row would never be deleted by retention.
            with translate_errors(f"taking back {kind} of event {event_id}", self._database.name):
                self.files.delete(key)
            raise
        return self.files.folder / key

    def keep_frames(self, event_id: str, window: int, jpegs: Sequence[bytes]) -> Path:
        """Stores the exact JPEGs of a judged window: `frames/EVENT/WINDOW/0.jpg` and so on."""
        return self.keep(event_id, "frames", f"{window:06d}", lambda folder: _write_frames(folder, jpegs))

    def of_event(self, event_id: str) -> list[MediaFile]:
        """The files of an event, sorted by path."""
        query = select(media).where(media.c.event_id == event_id).order_by(media.c.path)
        with self._database.reading("reading media") as connection:
            return [self.file_of(row) for row in connection.execute(query)]

    def local(self, file: MediaFile) -> Path:
        """A path on this machine with a file's content; raises StoreError if it is gone."""
        with translate_errors(f"reading {file.key}", self.files.name):
            return self.files.local(file.key)

    def read(self, file: MediaFile, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a clip or snapshot, from `start` on; raises StoreError if it is gone."""
        with translate_errors(f"reading {file.key}", self.files.name):
            return self.files.read(file.key, start=start, length=length)

    def file_of(self, row: Row[*tuple[Any, ...]]) -> MediaFile:
        """The media file of a row of the table."""
        path = self.files.folder / row.path
        is_elsewhere = "://" in self.files.name
        return MediaFile(
            path=path,
            key=row.path,
            place=f"{self.files.name}/{row.path}" if is_elsewhere else str(path),
            event_id=row.event_id,
            kind=row.kind,
            size_bytes=row.size_bytes,
            begins_s=row.begins_s,
        )

    def of_events(self, event_ids: Sequence[str]) -> dict[str, list[MediaFile]]:
        """The files of these events, sorted by path, by event id; events without files are left out."""
        found: dict[str, list[MediaFile]] = {}
        with self._database.reading("reading media") as connection:
            for row in rows_of(connection, (media,), media.c.event_id, event_ids, order_by=(media.c.path,)):
                found.setdefault(row.event_id, []).append(self.file_of(row))
        return found


def media_key(kind: MediaKind, event_id: str, name: str) -> str:
    """The key of a media file of an event: `clips/ID.mp4`, `snapshots/ID.jpg`, `frames/ID/NAME`."""
    return f"{kind}/{event_id}/{name}" if kind == FRAMES else f"{kind}/{event_id}{name}"


def _write_frames(folder: Path, jpegs: Sequence[bytes]) -> None:
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number}.jpg").write_bytes(jpeg)


def insert_media(
    connection: Connection,
    key: str,
    *,
    event_id: str,
    kind: MediaKind,
    size_bytes: int,
    begins_s: float | None = None,
) -> None:
    """Inserts the row of a file; the path is relative to where media are kept, so that can be moved as a whole."""
    row = {"path": key, "event_id": event_id, "kind": kind, "size_bytes": size_bytes, "created_utc": utc_now()}
    upsert(connection, media, [row | {"begins_s": begins_s}])
