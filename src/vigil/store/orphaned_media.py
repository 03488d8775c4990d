"""Media files of events without a row, as left by a watcher that was killed between writing a file and its row."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from vigil.files import PARTIAL
from vigil.store.database import translate_errors
from vigil.store.media import KINDS, MediaFile, MediaKind, insert_media, list_files, remove_media
from vigil.store.schema import events, media
from vigil.store.store import Store

log = logging.getLogger(__name__)

SUFFIXES: dict[MediaKind, str] = {"snapshots": ".jpg", "clips": ".mp4"}
EVENT_ID = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
"""The format of event ids; a file with any other name may belong to the user."""

ROWS_AT_ONCE = 500


def adopt_orphans(store: Store, *, before_s: float) -> None:
    """Adds rows for files of existing events; deletes files of deleted events, last modified before `before_s`."""
    with translate_errors("looking for files without a row", store.name):
        found = list(_files(store.folder))
    with store.database.reading("looking for files without a row") as connection:
        noted = set(connection.execute(select(media.c.path)).scalars())
        strays = [each for each in found if each[2].relative_to(store.folder).as_posix() not in noted]
        known = set(connection.execute(select(events.c.id)).scalars()) if strays else set()
    _note(store, [stray for stray in strays if stray[1] in known])
    for _, event_id, path in strays:
        if event_id not in known and EVENT_ID.fullmatch(event_id):
            _delete_old(store, path, before_s=before_s)


def _files(root: Path) -> Iterator[tuple[MediaKind, str, Path]]:
    """All complete media files: their kind, the event id in their name, and their path."""
    for kind in KINDS:
        # `frames/EVENT/WINDOW/0.jpg`: the folder of one window is one media file.
        for path in (root / kind).glob("*/*" if kind == "frames" else f"*{SUFFIXES[kind]}"):
            if PARTIAL not in path.name:
                yield kind, path.parent.name if kind == "frames" else path.stem, path


def _note(store: Store, strays: list[tuple[MediaKind, str, Path]]) -> None:
    for i in range(0, len(strays), ROWS_AT_ONCE):
        with store.database.writing("noting files without a row") as connection:
            for kind, event_id, path in strays[i : i + ROWS_AT_ONCE]:
                log.info("%s has no row, as its watcher was killed; it is noted now", path)
                size_bytes = sum(file.stat().st_size for file in list_files(path))
                file = MediaFile(path=path, event_id=event_id, kind=kind, size_bytes=size_bytes)
                insert_media(connection, file, root=store.folder)


def _delete_old(store: Store, path: Path, *, before_s: float) -> None:
    with translate_errors("deleting a file of no event", store.name):
        # A recent file may belong to an event that is not stored yet.
        if path.exists() and path.stat().st_mtime < before_s:
            log.info("deleting %s, whose event is gone", path)
            remove_media(path)
