"""Where the media of a store are kept: in its folder, or in the bucket that the store itself says."""

from pathlib import Path

from sqlalchemy import Connection, select

from vigil.errors import UsageError
from vigil.store.database import Database
from vigil.store.media_store import COPIES, FolderMediaStore, MediaStore
from vigil.store.s3_media import S3MediaStore
from vigil.store.schema import media, settings

PLACE = "media"
"""The setting with the URL of a bucket. Without it media are in the store's folder."""


def media_store_of(database: Database, folder: Path, *, wanted: str = "") -> MediaStore:
    """What keeps the media of a store; `wanted` is remembered for every later opening.

    Raises UsageError if media are kept elsewhere already: they would not be found any more.
    """
    with database.reading("reading where media are") as connection:
        there = _place(connection)
    place = wanted or there
    files: MediaStore = S3MediaStore(place, copies=folder / COPIES) if place else FolderMediaStore(folder)
    if wanted and wanted != there:
        with database.writing("noting where media are") as connection:
            _set(connection, wanted, there, folder)
    return files


def _place(connection: Connection) -> str:
    return connection.execute(select(settings.c.value).where(settings.c.name == PLACE)).scalar() or ""


def _set(connection: Connection, wanted: str, there: str, folder: Path) -> None:
    if connection.execute(select(media.c.path).limit(1)).scalar() is not None:
        raise UsageError(
            f"the media of this store are in {there or folder}, and would not be found in {wanted}; "
            "open it without another place, or begin a new store"
        )
    connection.execute(settings.delete().where(settings.c.name == PLACE))
    connection.execute(settings.insert().values(name=PLACE, value=wanted))
