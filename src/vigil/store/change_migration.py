"""Fills the change log of an older store with changes that were not published, so that they are published late."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, text

from vigil.events import Event, Tier
from vigil.store.changes import log_changes

UNTOLD = "SELECT * FROM events WHERE untold <> '' ORDER BY id"


def fill_changes(connection: Connection) -> None:
    """Logs the unpublished changes.

    The column that held them remains, empty, so that an older Vigil that is still running can write its events.
    """
    for row in connection.execute(text(UNTOLD)).all():
        event = _event(row)
        kinds = [row.untold] if row.untold == "closed" or event.is_open else [row.untold, "closed"]
        for kind in kinds:
            goes_on = kind != "closed"
            then = replace(event, end_s=None, closed_because="") if goes_on else event
            log_changes(connection, then, [kind])
    connection.execute(text("UPDATE events SET untold = ''"))


def _event(row: Row[*tuple[Any, ...]]) -> Event:
    return Event(
        id=row.id,
        source=row.source,
        camera_id=row.camera_id,
        onset_s=row.onset_s,
        end_s=row.end_s,
        peak=row.peak,
        peak_s=row.peak_s,
        tier=Tier(row.tier),
        windows=(),
        announced_s=row.announced_s,
        epoch_s=row.epoch_s,
        text=row.text,
        task=row.task,
        model=row.model,
        closed_because=row.closed_because,
    )
