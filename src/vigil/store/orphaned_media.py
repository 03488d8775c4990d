"""Media files of events without a row, as left by a watcher that was killed between writing a file and its row."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import select

from vigil.store.database import translate_errors
from vigil.store.media import insert_media
from vigil.store.media_store import FRAMES, KINDS, MediaKind, StoredMedia
from vigil.store.schema import events, media
from vigil.store.store import Store

log = logging.getLogger(__name__)

SUFFIXES: dict[MediaKind, str] = {"snapshots": ".jpg", "clips": ".mp4"}
EVENT_ID = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
"""The format of event ids; a file with any other name may belong to the user."""

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Stray:
    """An item without a row, and the event whose id is in its name."""

    item: StoredMedia
    kind: MediaKind
    event_id: str


def adopt_orphans(store: Store, *, before_s: float) -> None:
    """Adds rows for files of existing events; deletes files of deleted events, last modified before `before_s`."""
    with translate_errors("looking for files without a row", store.name):
        found = list(_items(store))
    with store.database.reading("looking for files without a row") as connection:
        noted = set(connection.execute(select(media.c.path)).scalars())
        strays = [stray for stray in found if stray.item.key not in noted]
        known = set(connection.execute(select(events.c.id)).scalars()) if strays else set()
    _note(store, [stray for stray in strays if stray.event_id in known])
    for stray in strays:
        if stray.event_id not in known and EVENT_ID.fullmatch(stray.event_id):
            _delete_old(store, stray, before_s=before_s)


def _items(store: Store) -> Iterator[Stray]:
    """All complete media files that have the name of one."""
    for kind in KINDS:
        for item in store.media.files.items(kind):
            key = PurePosixPath(item.key)
            # `frames/EVENT/WINDOW/0.jpg`: the folder of one window is one media file.
            if kind == FRAMES:
                yield Stray(item, kind, key.parent.name)
            elif key.suffix == SUFFIXES[kind]:
                yield Stray(item, kind, key.stem)


def _note(store: Store, strays: Sequence[Stray]) -> None:
    for i in range(0, len(strays), ROWS_AT_ONCE):
        with store.database.writing("noting files without a row") as connection:
            for each in strays[i : i + ROWS_AT_ONCE]:
                log.info("%s has no row, as its watcher was killed; it is noted now", each.item.key)
                insert_media(
                    connection, each.item.key, event_id=each.event_id, kind=each.kind, size_bytes=each.item.size_bytes
                )


def _delete_old(store: Store, stray: Stray, *, before_s: float) -> None:
    # A recent file may belong to an event that is not stored yet.
    if stray.item.modified_s < before_s:
        log.info("deleting %s, whose event is gone", stray.item.key)
        with translate_errors("deleting a file of no event", store.name):
            store.media.files.delete(stray.item.key)
