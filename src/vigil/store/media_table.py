"""Which files belong to which event: what retention goes by."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from vigil.store.media import MediaFile
from vigil.store.moment import utc_now
from vigil.store.schema import media
from vigil.store.upsert import upsert


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
