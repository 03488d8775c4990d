"""The store: sessions, cameras, verdicts, events with their changes, and the media of events.

    with Store.open("vigil-store/vigil.db") as store:
        store.start_session(source="door", epoch_s=time.time(), model="m", task="fight")
        store.save_event(event)     # durable when it returns
        store.keep(event.id, "clips", ".mp4", lambda path: footage.clip(path, from_s=0, to_s=9))

Every call is one transaction: if it fails, it raises StoreError, has changed nothing and can be retried. The store is
thread-safe, and several processes may share a database.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, Engine

from vigil.errors import StoreError, UsageError
from vigil.events import Event, Mark, MarkValue
from vigil.files import PRIVATE_FILE, make_private_folder
from vigil.store import changes as change_log
from vigil.store import events as event_table
from vigil.store import marks as mark_table
from vigil.store import media as media_table
from vigil.store import rejected_rows
from vigil.store import sessions as session_table
from vigil.store import verdicts as verdict_table
from vigil.store.cameras import CameraRecord, CameraTable, fingerprint
from vigil.store.changes import ChangeLog, StoredChange, StoredKind
from vigil.store.cursors import ConsumerCursors
from vigil.store.database import WRITES, display_url, enable_wal, make_engine, parse_url, sqlite_path, translate_errors
from vigil.store.events import EventFilter
from vigil.store.file_permissions import restrict_store_files
from vigil.store.media import MediaFile, MediaKind, WriteMedia, media_path, remove_media, write_whole
from vigil.store.migrations import NEWEST, migrate, version_of
from vigil.store.rejected_rows import REFUSED
from vigil.store.sessions import SourceLocks, WatchSession
from vigil.verdict import JudgedWindow

DEFAULT_STORE = "outputs/watch/events.db"
"""The store that a watcher uses by default."""

STOPPED = "the watcher stopped"


class Store:
    """A database and the media folder beside it."""

    def __init__(self, engine: Engine, *, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.engine = engine
        self.cameras = CameraTable(self)
        self.changes = ChangeLog(self)
        self.cursors = ConsumerCursors(self)
        self._current: dict[str, str] = {}
        self._cameras_of: dict[str, str] = {}
        self._claims = SourceLocks(folder)

    @classmethod
    def open(cls, url: str | Path, *, folder: Path | None = None, create: bool = True) -> Self:
        """Opens a store by path or URL, creates or migrates its tables, and with `create` makes a missing folder.

        Media are in `folder`, by default the folder of the SQLite file. Raises StoreError if the store is damaged,
        locked, missing (without `create`), not writable or written by a newer Vigil; UsageError if the URL cannot be
        used.
        """
        parsed = parse_url(url)
        name, path = display_url(parsed), sqlite_path(parsed)
        if path is None and folder is None:
            raise UsageError(f"{name}: say in which folder its snapshots and clips belong")
        if path is not None:
            _make_room(path, create=create)
        engine = make_engine(parsed)
        store = cls(engine, name=name, folder=folder or (path or Path()).parent)
        restrict_store_files(store.folder, path)
        try:
            store._bring_up_to_date(is_sqlite=path is not None)
        except BaseException:
            engine.dispose()
            raise
        return store

    def _bring_up_to_date(self, *, is_sqlite: bool) -> None:
        with self.reading("opening") as connection:
            version = version_of(connection, where=self.name)
        if version == NEWEST:
            return
        with translate_errors("opening", self.name):
            if is_sqlite:
                enable_wal(self.engine)
        with self.writing("migrating") as connection:
            migrate(connection, where=self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database and releases all camera locks; a later call opens it again."""
        self._claims.release_all()
        self.engine.dispose()

    @contextmanager
    def reading(self, action: str) -> Iterator[Connection]:
        """A read transaction with a consistent view of the database; errors are StoreErrors that name the action."""
        with translate_errors(action, self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, action: str) -> Iterator[Connection]:
        """A write transaction: durable once the block ends, rolled back if it raises."""
        engine = self.engine.execution_options(**{WRITES: True})
        with translate_errors(action, self.name), engine.begin() as connection:
            yield connection

    def fingerprint(self) -> str:
        """8 hex digits that identify this store; the same at every start."""
        with self.reading("reading settings") as connection:
            return fingerprint(connection)

    def claim(self, camera: str) -> bool:
        """Locks a camera (by its id) for this store; returns False if another watcher has locked it."""
        return self._claims.take(camera)

    def release(self, camera: str) -> None:
        """Releases the lock of a camera."""
        self._claims.release(camera)

    def start_session(
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
        with self.writing("starting a watch") as connection:
            session = session_table.start(
                connection,
                source=source,
                session_id=session_id,
                epoch_s=epoch_s,
                model=model,
                task=task,
                contract=contract,
                identity=identity,
                camera=camera,
            )
        self._current |= {source: session.id, session.camera_id: session.id}
        self._cameras_of |= {session.id: session.camera_id}
        return session

    def end_session(self, source: str, *, because: str, session: str = "", camera_id: str = "") -> None:
        """Ends the session of a source (the newest, unless `session` is given) and releases its camera lock."""
        self.release(camera_id or source)
        ended = session or self._current.get(source)
        if ended:
            with self.writing("ending a watch") as connection:
                session_table.end(connection, ended, because=because)

    def add_verdicts(self, judged: Sequence[JudgedWindow], *, sessions: Sequence[str] = ()) -> None:
        """Adds verdicts to the log; existing ones are updated.

        Each belongs to the current session of its source, unless `sessions` gives one for each. A source without a
        session gets a new one.
        """
        if not judged:
            return
        started: dict[str, str] = {}
        with self.writing("writing verdicts") as connection:
            if not sessions:
                begun = {each.camera_id or each.source: each for each in judged if self._session_of(each) is None}
                for key, each in begun.items():
                    camera = CameraRecord(id=each.camera_id, name=each.source)
                    started[key] = session_table.start(connection, source=each.source, camera=camera).id
                sessions = [self._session_of(each) or started[each.camera_id or each.source] for each in judged]
            verdict_table.add(connection, list(zip(sessions, judged, strict=True)))
        self._current |= started

    def _session_of(self, each: JudgedWindow | Event) -> str | None:
        """The current session of the camera of a verdict or event, by camera id, or by name if it has none."""
        return self._current.get(each.camera_id or each.source)

    def save_event(self, event: Event, *, session: str | None = "") -> None:
        """Saves an event to its source's current session, or to `session` (None: to no session); durable on return.

        Saving it again updates it. Its changes are logged in the same transaction (`changes`) and recorded as
        published; a watcher, which publishes them afterwards, uses `record_event`.
        """
        self.record_event(event, session=session, told=event_table.TELLABLE)

    def record_event(
        self, event: Event, *, session: str | None = "", told: Collection[StoredKind] = ()
    ) -> list[StoredChange]:
        """Same as `save_event`, but returns the changes, which count as unpublished until `note_told`.

        `told` are the kinds that were published before the event could be saved; they count as published.
        """
        if session == "":
            session = self._session_of(event)
        if session in self._cameras_of and not event.camera_id:
            event = replace(event, camera_id=self._cameras_of[session])
        with self.writing(f"saving event {event.id}") as connection:
            happened = event_table.save(connection, event, session=session)
            event_table.note_heard(connection, happened, told)
        return happened

    def untold(self, *, camera_id: str = "") -> list[StoredChange]:
        """The changes (of one camera, or of all) that were not published, in order, with their events' windows."""
        with self.reading("looking for what was not told") as connection:
            return event_table.untold(connection, camera_id=camera_id)

    def note_told(self, told: Mapping[str, Collection[int]]) -> None:
        """Records changes as published: their sequence numbers, by camera id."""
        with self.writing("noting what was told") as connection:
            for camera_id, sequences in told.items():
                event_table.note_told(connection, camera_id, sequences)

    def set_aside(self, row: object, *, what: str, why: str) -> None:
        """Appends a rejected row to `refused.jsonl` as a JSON line, up to a maximum file size; never raises."""
        rejected_rows.append_rejected_row(self.folder / REFUSED, row, what=what, why=why)

    def open_events(self, source: str | None = None) -> list[Event]:
        """The open events, including those that a killed watcher left open."""
        return self.find_events(EventFilter(source=source, open_only=True))

    def recover(self, source: str | None = None, *, camera_id: str = "", because: str = STOPPED) -> list[Event]:
        """Closes events of a source (or of all) that a killed watcher left open, each at the end of its last window.

        Call it before watching a source. With a `camera_id`, events of other cameras of that name are left alone.
        Returns the events, now closed. The changes still have to be published.
        """
        with self.writing("recovering") as connection:
            left = event_table.find(connection, EventFilter(source=source, camera_id=camera_id, open_only=True))
            closed = [replace(event, end_s=_last_s(event), closed_because=because) for event in left]
            for event in closed:
                event_table.save(connection, event, session=None)
            session_table.end_all(connection, source, camera_id=camera_id, because=because)
        return closed

    def find_events(self, wanted: EventFilter | None = None) -> list[Event]:
        """The events that match a filter, oldest first."""
        with self.reading("reading events") as connection:
            return event_table.find(connection, wanted or EventFilter())

    def count_events(self, wanted: EventFilter | None = None) -> int:
        """The number of events that match a filter, ignoring its limit and offset."""
        with self.reading("counting events") as connection:
            return event_table.count(connection, wanted or EventFilter())

    def event_sources(self) -> list[str]:
        """The names of the cameras that have events."""
        with self.reading("reading sources") as connection:
            return event_table.sources(connection)

    def event(self, part: str) -> Event:
        """The event with this id, or the only one whose id starts or ends with it; else raises UsageError."""
        with self.reading("reading an event") as connection:
            found = event_table.by_id(connection, part)
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"{self.name} has no event {part!r}; `vigil events list` shows those it has")
        raise UsageError(f"{part!r} may be any of {len(found)} events: {', '.join(event.id for event in found[:5])}")

    def mark(self, event_id: str, mark: MarkValue, *, who: str, note: str = "") -> Mark:
        """Adds a user's mark to an event; `""` takes the previous mark back, which stays in the history.

        Raises UsageError if the event does not exist, the mark is unknown, `who` is empty or the note exceeds 4000
        characters.
        """
        with self.writing(f"marking event {event_id}") as connection:
            added = mark_table.add(connection, event_id, mark, who=who, note=note)
            [event] = event_table.by_id(connection, event_id)
            said = {"mark": added.mark, "note": note, "marked_by": added.who, "marked_utc": added.marked_utc}
            change_log.add(connection, event, ["marked"], said=said)
        return added

    def marks(self, event_id: str) -> list[Mark]:
        """All marks of an event, oldest first; the last one counts."""
        with self.reading("reading marks") as connection:
            return mark_table.of_event(connection, event_id)

    def newest_marks(self, event_ids: Sequence[str]) -> dict[str, Mark]:
        """The newest mark of each of these events; events without a mark, or with one taken back, are left out."""
        with self.reading("reading marks") as connection:
            return mark_table.newest(connection, event_ids)

    def sessions(self, source: str) -> list[WatchSession]:
        """The sessions of a camera, by its id or name, newest first."""
        with self.reading("reading watches") as connection:
            return session_table.of_source(connection, source)

    def session_of(self, event_id: str) -> WatchSession | None:
        """The session in which an event was found; None if it was saved outside any."""
        with self.reading("reading watches") as connection:
            return session_table.of_event(connection, event_id)

    def session_log(self, session: WatchSession) -> tuple[list[JudgedWindow], list[Event]]:
        """The verdicts and events of one session, in order."""
        with self.reading("reading verdicts") as connection:
            judged = verdict_table.of_session(connection, session.id, source=session.source)
            return judged, event_table.of_session(connection, session.id)

    def verdicts_around(self, event: Event, *, margin_s: float) -> list[JudgedWindow]:
        """The verdicts from `margin_s` before an event to `margin_s` after it; empty if it has no session."""
        last_s = _last_s(event) if event.end_s is None else event.end_s
        with self.reading("reading verdicts") as connection:
            session = session_table.of_event(connection, event.id)
            if session is None:
                return []
            span = {"from_s": event.onset_s - margin_s, "to_s": last_s + margin_s}
            return verdict_table.of_session(connection, session.id, source=event.source, **span)

    def keep(self, event_id: str, kind: MediaKind, name: str, write: WriteMedia) -> Path:
        """Stores a media file of a stored event: `write` creates it, then it is moved into place and gets its row.

        `name` is the suffix (`.mp4`, `.jpg`) of a clip or snapshot; for frames, the name of a folder that `write`
        fills. Returns the path. Raises StoreError if the disk is full, and whatever else `write` raises.
        """
        path = media_path(self.folder, kind, event_id, name)
        with translate_errors(f"keeping {kind} of event {event_id}", self.name):
            size_bytes = write_whole(path, write)
        file = MediaFile(path=path, event_id=event_id, kind=kind, size_bytes=size_bytes)
        try:
            with self.writing(f"noting {kind} of event {event_id}") as connection:
                media_table.add(connection, file, root=self.folder)
        except StoreError:
            # A file without a row would never be deleted by retention.
            remove_media(path)
            raise
        return path

    def keep_frames(self, event_id: str, window: int, jpegs: Sequence[bytes]) -> Path:
        """Stores the exact JPEGs of a judged window: `frames/EVENT/WINDOW/0.jpg` and so on."""
        return self.keep(event_id, "frames", f"{window:06d}", lambda folder: _write_frames(folder, jpegs))

    def media(self, event_id: str) -> list[MediaFile]:
        """The media files of an event."""
        with self.reading("reading media") as connection:
            return media_table.of_event(connection, event_id, root=self.folder)


def _last_s(event: Event) -> float:
    return max((evidence.end_s for evidence in event.windows), default=event.onset_s)


def _write_frames(folder: Path, jpegs: Sequence[bytes]) -> None:
    folder.mkdir()
    for number, jpeg in enumerate(jpegs):
        (folder / f"{number}.jpg").write_bytes(jpeg)


def _make_room(path: Path, *, create: bool) -> None:
    if path.exists():
        return
    if not create:
        raise StoreError(
            f"there is no store at {path}; `vigil watch SOURCE --store {path}` makes one, --store names another"
        )
    try:
        make_private_folder(path.parent)
    except OSError as error:
        raise StoreError(f"the folder of {path} cannot be made: {error.strerror}; name another store") from error
    # SQLite gives its log and journal the permissions of the database. Another process may create the file at the same
    # moment; any other error shows when it is opened.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))
