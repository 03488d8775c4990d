"""Sessions: one row for each watch of one source, from its start to its end; and locks on the cameras being watched.

A new session closes events that an earlier one left open. A file lock shows whether that one was killed (the lock is
gone with its process) or is still running.
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, Select, select

from vigil.events import new_id
from vigil.files import make_private_folder
from vigil.store.cameras import CameraRecord, is_of, register
from vigil.store.schema import events, sessions
from vigil.store.times import utc_now

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSession:
    """What was watched and with what; `epoch_s` is the `time.time()` of second 0, for live sources.

    `source` is the camera's name at the time; `identity` is empty if it is not known.
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
    camera_id: str = ""


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
    camera: CameraRecord | None = None,
) -> WatchSession:
    """Inserts a session and registers its `camera`; without one, the camera of that name is used."""
    seen = register(connection, camera or CameraRecord(id="", name=source, identity=identity))
    session = WatchSession(
        id=session_id or new_id(),
        source=source,
        epoch_s=epoch_s,
        model=model,
        task=task,
        contract=contract,
        started_utc=utc_now(),
        identity=identity or seen.identity,
        camera_id=seen.id,
    )
    values = {field: getattr(session, field) for field in WatchSession.__slots__}
    connection.execute(sessions.insert().values(values))
    return session


def end(connection: Connection, session: str, *, because: str) -> None:
    """Records that a session ended."""
    ended = sessions.update().where(sessions.c.id == session, sessions.c.ended_utc.is_(None))
    connection.execute(ended.values(ended_utc=utc_now(), ended_because=because))


def of_source(connection: Connection, source: str) -> list[WatchSession]:
    """The sessions of a camera, by its id or name, newest first."""
    wanted = is_of(source, sessions.c.camera_id, sessions.c.source)
    return _read(connection, select(sessions).where(wanted).order_by(sessions.c.id.desc()))


def of_event(connection: Connection, event_id: str) -> WatchSession | None:
    """The session in which an event was found; None if it was saved outside any."""
    query = select(sessions).join(events, events.c.session_id == sessions.c.id).where(events.c.id == event_id)
    return next(iter(_read(connection, query)), None)


def end_all(connection: Connection, source: str | None, *, camera_id: str, because: str) -> None:
    """Records that all unfinished sessions of a camera (or of all cameras) ended."""
    unfinished = sessions.update().where(sessions.c.ended_utc.is_(None))
    if source is not None or camera_id:
        unfinished = unfinished.where(is_of(camera_id or source or "", sessions.c.camera_id, sessions.c.source))
    connection.execute(unfinished.values(ended_utc=utc_now(), ended_because=because))


def cameras_of(connection: Connection, session_ids: Sequence[str]) -> dict[str, str]:
    """The camera id of each of these sessions."""
    query = select(sessions.c.id, sessions.c.camera_id).where(sessions.c.id.in_(session_ids))
    return {row.id: row.camera_id for row in connection.execute(query)}


def _read(connection: Connection, query: "Select[*tuple[object, ...]]") -> list[WatchSession]:
    rows: Sequence[Row[*tuple[object, ...]]] = connection.execute(query).all()
    return [WatchSession(**row._mapping) for row in rows]


FOLDER = ".watched"


class SourceLocks:
    """File locks on the cameras that are watched through one `Store`; the lock files are beside the media."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._held: dict[str, int] = {}

    def take(self, source: str) -> bool:
        """Locks a camera, by its id, until `release`; returns False if another watcher holds the lock.

        If no lock can be created (unsupported by the file system, disk full, no permission), it returns True.
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
        """Releases all locks."""
        for source in list(self._held):
            self.release(source)

    def release(self, source: str) -> None:
        """Releases the lock of a camera."""
        if (lock := self._held.pop(source, None)) is not None:
            os.close(lock)
