"""Sessions: one row for each watch of one source, from its start to its end; and locks on the cameras being watched.

A new session closes events that an earlier one left open. A file lock shows whether that one was killed (the lock is
gone with its process) or is still running.

    session = store.sessions.start(source="door", epoch_s=time.time(), model="m", task="fight")
    ...                                                 # its verdicts and events belong to the session
    store.sessions.end("door", because="stopped")
"""

import fcntl
import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, Row, Select, or_, select

from vigil.events import Event, new_id
from vigil.files import make_private_folder
from vigil.store.cameras import CameraRecord, is_of, register
from vigil.store.database import Database, upsert
from vigil.store.schema import events, sessions
from vigil.store.times import utc_now
from vigil.verdict import JudgedWindow

log = logging.getLogger(__name__)

MOST_SESSIONS_RESUMED = 100
"""The most earlier sessions of a camera from which rules go on: it restarted as often within minutes."""


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


class SessionTable:
    """The sessions of a store, and which of them each source is in now.

    Each call is one transaction and raises StoreError if it fails.
    """

    def __init__(self, database: Database, locks: "SourceLocks") -> None:
        self._database = database
        self._locks = locks
        self._current: dict[str, str] = {}
        self._cameras: dict[str, str] = {}

    def start(
        self,
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
        """Starts a session of a source; its verdicts and events belong to the session from now on.

        The `camera` is registered with it; without one, the camera is found by `identity` or by name.
        """
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
        with self._database.writing("starting a watch") as connection:
            session = insert_session(connection, session, camera=camera)
        self.note_current({source: session.id, session.camera_id: session.id})
        self._cameras |= {session.id: session.camera_id}
        return session

    def end(self, source: str, *, because: str, session: str = "", camera_id: str = "") -> None:
        """Ends the session of a source (the newest, unless `session` is given) and releases its camera lock."""
        self._locks.release(camera_id or source)
        ended = session or self._current.get(source)
        if not ended:
            return
        unfinished = sessions.update().where(sessions.c.id == ended, sessions.c.ended_utc.is_(None))
        with self._database.writing("ending a watch") as connection:
            connection.execute(unfinished.values(ended_utc=utc_now(), ended_because=because))

    def of_camera(self, word: str) -> list[WatchSession]:
        """The sessions of a camera, by its id or name, newest first."""
        wanted = is_of(word, sessions.c.camera_id, sessions.c.source)
        with self._database.reading("reading watches") as connection:
            return _read(connection, select(sessions).where(wanted).order_by(sessions.c.id.desc()))

    def overlapping(
        self, *, since_utc: str | None, until_utc: str | None, camera_ids: Sequence[str] = ()
    ) -> list[WatchSession]:
        """The sessions that went on at some time of a span (None: open), of these cameras or of all, oldest first."""
        query = select(sessions).order_by(sessions.c.started_utc, sessions.c.id)
        if since_utc:
            query = query.where(or_(sessions.c.ended_utc.is_(None), sessions.c.ended_utc >= since_utc))
        if until_utc:
            query = query.where(sessions.c.started_utc <= until_utc)
        if camera_ids:
            query = query.where(sessions.c.camera_id.in_(camera_ids))
        with self._database.reading("reading watches") as connection:
            return _read(connection, query)

    def of_event(self, event_id: str) -> WatchSession | None:
        """The session in which an event was found; None if it was saved outside any."""
        with self._database.reading("reading watches") as connection:
            return session_of(connection, event_id)

    def current(self, each: JudgedWindow | Event) -> str | None:
        """The session that a verdict or event belongs to: that of its camera, or of its name if it has none."""
        return self._current.get(each.camera_id or each.source)

    def camera_of(self, session: str) -> str:
        """The camera id of a session that was started here; empty for any other."""
        return self._cameras.get(session, "")

    def note_current(self, started: Mapping[str, str]) -> None:
        """Makes sessions the current ones, by source name or camera id."""
        self._current |= started


def insert_session(
    connection: Connection, session: WatchSession, *, camera: CameraRecord | None = None
) -> WatchSession:
    """Inserts a session and registers its `camera`; without one, the camera of its identity or name is used."""
    seen = register(connection, camera or CameraRecord(id="", name=session.source, identity=session.identity))
    session = replace(session, identity=session.identity or seen.identity, camera_id=seen.id)
    values = {field: getattr(session, field) for field in WatchSession.__slots__}
    # Whoever got no answer to the first attempt begins it again, and it may be there.
    upsert(connection, sessions, [values], keep=("started_utc",))
    return session


def session_of(connection: Connection, event_id: str) -> WatchSession | None:
    """Same as `SessionTable.of_event`, in the caller's transaction."""
    query = select(sessions).join(events, events.c.session_id == sessions.c.id).where(events.c.id == event_id)
    return next(iter(_read(connection, query)), None)


def live_sessions(connection: Connection, camera_id: str, *, task: str, from_utc: str) -> list[WatchSession]:
    """The live sessions of a camera under a task that may have gone on after a time, oldest first."""
    # A session that was killed has no end; its verdicts say whether it went on.
    wanted = (
        sessions.c.camera_id == camera_id,
        sessions.c.task == task,
        sessions.c.epoch_s.is_not(None),
        (sessions.c.ended_utc.is_(None)) | (sessions.c.ended_utc >= from_utc),
    )
    newest = select(sessions).where(*wanted).order_by(sessions.c.id.desc()).limit(MOST_SESSIONS_RESUMED)
    return _read(connection, newest)[::-1]


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
