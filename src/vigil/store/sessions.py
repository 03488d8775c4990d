"""Sessions: one watch of one source, from its start to its end.

Claims: which sources of a store are being watched now, and by whom.

A watch that begins closes what an earlier one left open. A lock on a file tells a watch that was killed, whose lock is
gone with it, from one that goes on.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from vigil.events import new_id
from vigil.files import make_private_folder
from vigil.store.schema import events, sessions
from vigil.store.times import utc_now

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSession:
    """What was watched and with what; `epoch_s` is the `time.time()` of second 0 on live sources.

    `identity` tells sources of one name apart, empty where it is not known.
    """

    id: str
    source: str
    epoch_s: float | None = None
    model: str = ""
    task: str = ""
    contract: str = ""
    started_utc: str = ""
    ended_utc: str | None = None
    ended_because: str = ""
    identity: str = ""


def start(
    connection: Connection,
    *,
    source: str,
    session_id: str = "",
    epoch_s: float | None = None,
    model: str = "",
    task: str = "",
    contract: str = "",
    identity: str = "",
) -> WatchSession:
    """Writes that a watch began."""
    session = WatchSession(
        id=session_id or new_id(),
        source=source,
        epoch_s=epoch_s,
        model=model,
        task=task,
        contract=contract,
        started_utc=utc_now(),
        identity=identity,
    )
    values = {field: getattr(session, field) for field in WatchSession.__slots__}
    connection.execute(sessions.insert().values(values))
    return session


def end(connection: Connection, session: str, *, because: str) -> None:
    """Writes that a watch ended."""
    ended = sessions.update().where(sessions.c.id == session, sessions.c.ended_utc.is_(None))
    connection.execute(ended.values(ended_utc=utc_now(), ended_because=because))


def of_source(connection: Connection, source: str) -> list[WatchSession]:
    """The watches of a source, the newest first."""
    return _read(connection, select(sessions).where(sessions.c.source == source).order_by(sessions.c.id.desc()))


def of_event(connection: Connection, event_id: str) -> WatchSession | None:
    """The watch that an event was found in."""
    query = select(sessions).join(events, events.c.session_id == sessions.c.id).where(events.c.id == event_id)
    return next(iter(_read(connection, query)), None)


def end_all(connection: Connection, source: str | None, *, identity: str, because: str) -> None:
    """Writes that every unfinished watch of a source (or of all) ended; with an `identity`, none of another's."""
    unfinished = sessions.update().where(sessions.c.ended_utc.is_(None))
    if source is not None:
        unfinished = unfinished.where(sessions.c.source == source)
    if identity:
        unfinished = unfinished.where(sessions.c.identity.in_(["", identity]))
    connection.execute(unfinished.values(ended_utc=utc_now(), ended_because=because))


def names(connection: Connection) -> dict[str, set[str]]:
    """The identities that were watched under each name."""
    found: dict[str, set[str]] = {}
    query = select(sessions.c.source, sessions.c.identity).where(sessions.c.identity != "").distinct()
    for source, identity in connection.execute(query):
        found.setdefault(source, set()).add(identity)
    return found


def identities(connection: Connection, event_ids: Sequence[str]) -> dict[str, str]:
    """The identity of the source of each of these events, where it is known."""
    query = select(events.c.id, sessions.c.identity).join(sessions, events.c.session_id == sessions.c.id)
    return {row.id: row.identity for row in connection.execute(query.where(events.c.id.in_(event_ids)))}


def may_be_of(identity: str) -> ColumnElement[bool]:
    """Whether the event in the query around it is of a source, as far as that is known."""
    others = select(sessions.c.id).where(sessions.c.identity.not_in(["", identity]))
    return events.c.session_id.is_(None) | events.c.session_id.not_in(others)


def _read(connection: Connection, query: "Select[*tuple[object, ...]]") -> list[WatchSession]:
    rows: Sequence[Row[*tuple[object, ...]]] = connection.execute(query).all()
    return [WatchSession(**row._mapping) for row in rows]


FOLDER = ".watched"


class SourceLocks:
    """The sources that this store's user watches; locks lie in a folder beside the media."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._held: dict[str, int] = {}

    def take(self, source: str) -> bool:
        """Claims a source, by its identity or its name, until `release`; False while somebody else watches it.

        Where no lock can be had (a file system without, no room, no right) every claim is granted.
        """
        if source in self._held:
            return True
        try:
            self._held[source] = self._locked(source)
        except BlockingIOError:
            return False
        except OSError as error:
            log.info("%s: whether another watch has it cannot be known: %s", source, error)
        return True

    def _locked(self, source: str) -> int:
        make_private_folder(self._folder)
        name = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:24]
        lock = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def release_all(self) -> None:
        """Gives all of them up."""
        for source in list(self._held):
            self.release(source)

    def release(self, source: str) -> None:
        """Gives a source up."""
        if (lock := self._held.pop(source, None)) is not None:
            os.close(lock)
