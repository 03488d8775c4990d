"""The store: what was watched, every verdict, the events, and their pictures and clips.

    with Store.open("vigil-store/vigil.db") as store:
        store.start_session(source="door", epoch_s=time.time(), model="m", task="fight")
        store.save_event(event)     # on disk when it returns
        store.keep(event.id, "clips", ".mp4", lambda path: footage.clip(path, from_s=0, to_s=9))

Every call is one transaction; a call that fails raises StoreError, has changed nothing, and may be tried again.
Calls may come from several threads, and several processes may share a database.
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
"""Where a watch keeps what it finds, unless told otherwise."""

STOPPED = "the watcher stopped"


class Store:
    """A database and the folder of media beside it."""

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
        """Opens a store by path or URL, makes or migrates its tables, and makes a missing folder if it may `create`.

        Media lie in `folder`: beside a SQLite file unless said otherwise. Raises StoreError when the store is damaged,
        locked, of a newer Vigil, not there (without `create`) or cannot be written; UsageError for a URL it cannot use.
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
        """Closes the database and gives up all claims; a later call opens it again."""
        self._claims.release_all()
        self.engine.dispose()

    @contextmanager
    def reading(self, action: str) -> Iterator[Connection]:
        """A transaction that sees one state of the database; its errors are StoreErrors that name the action."""
        with translate_errors(action, self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, action: str) -> Iterator[Connection]:
        """A transaction that is on disk when it ends, or has not happened."""
        engine = self.engine.execution_options(**{WRITES: True})
        with translate_errors(action, self.name), engine.begin() as connection:
            yield connection

    def fingerprint(self) -> str:
        """8 hex digits that tell this store from others, the same at every start."""
        with self.reading("reading settings") as connection:
            return fingerprint(connection)

    def claim(self, camera: str) -> bool:
        """Whether nobody else watches a camera (by its id) into this store; until `release` nobody else can."""
        return self._claims.take(camera)

    def release(self, camera: str) -> None:
        """Gives up a claim."""
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
        """Writes that a watch of a source begins; verdicts and events of the source belong to it from now on.

        The `camera` is noted with it; without one it is that of the source's identity, or of its name.
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
        """Writes that the watch of a source (the newest, unless one is named) ended, and gives up the claim to it."""
        self.release(camera_id or source)
        ended = session or self._current.get(source)
        if ended:
            with self.writing("ending a watch") as connection:
                session_table.end(connection, ended, because=because)

    def add_verdicts(self, judged: Sequence[JudgedWindow], *, sessions: Sequence[str] = ()) -> None:
        """Writes verdicts to the log; one that is there already is updated.

        Each belongs to its source's session, unless `sessions` names one for each of them.
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
        """The watch that is going on of what a verdict or an event is of; a name alone tells no camera from another."""
        return self._current.get(each.camera_id or each.source)

    def save_event(self, event: Event, *, session: str | None = "") -> None:
        """Writes an event, of its source's session unless one is named; it is on disk when this returns.

        Saving it again updates it. With None it belongs to no session. What happened to it is logged in the same
        transaction (`changes`) and taken as told; a watch, which tells it afterwards, uses `record_event`.
        """
        self.record_event(event, session=session, told=event_table.TELLABLE)

    def record_event(
        self, event: Event, *, session: str | None = "", told: Collection[StoredKind] = ()
    ) -> list[StoredChange]:
        """As `save_event`; returns what happened to it, which people are owed until `note_told`.

        What they were `told` already, as the store could not be written to before, they are owed no more.
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
        """The changes (of one camera, or of any) that nobody was told of, in order, with their events' windows."""
        with self.reading("looking for what was not told") as connection:
            return event_table.untold(connection, camera_id=camera_id)

    def note_told(self, told: Mapping[str, Collection[int]]) -> None:
        """Writes which changes people were told of, by their numbers, of each of these cameras."""
        with self.writing("noting what was told") as connection:
            for camera_id, sequences in told.items():
                event_table.note_told(connection, camera_id, sequences)

    def set_aside(self, row: object, *, what: str, why: str) -> None:
        """Keeps what the database refuses as a JSON line of `refused.jsonl`, as long as that is small; never raises."""
        rejected_rows.append_rejected_row(self.folder / REFUSED, row, what=what, why=why)

    def open_events(self, source: str | None = None) -> list[Event]:
        """The events that go on, or that a watcher which was killed left open."""
        return self.find_events(EventFilter(source=source, open_only=True))

    def recover(self, source: str | None = None, *, camera_id: str = "", because: str = STOPPED) -> list[Event]:
        """Closes what a watcher of this source (or of any) that was killed left open, each at its last window.

        Call it before watching a source; with a `camera_id`, what is of another camera of that name is left alone.
        Returns the events as they are now. That they are closed is still to be told.
        """
        with self.writing("recovering") as connection:
            left = event_table.find(connection, EventFilter(source=source, camera_id=camera_id, open_only=True))
            closed = [replace(event, end_s=_last_s(event), closed_because=because) for event in left]
            for event in closed:
                event_table.save(connection, event, session=None)
            session_table.end_all(connection, source, camera_id=camera_id, because=because)
        return closed

    def find_events(self, wanted: EventFilter | None = None) -> list[Event]:
        """The events that a filter lets through, the oldest first."""
        with self.reading("reading events") as connection:
            return event_table.find(connection, wanted or EventFilter())

    def count_events(self, wanted: EventFilter | None = None) -> int:
        """How many events a filter lets through, its limit and offset left aside."""
        with self.reading("counting events") as connection:
            return event_table.count(connection, wanted or EventFilter())

    def event_sources(self) -> list[str]:
        """The names of the cameras that have events."""
        with self.reading("reading sources") as connection:
            return event_table.sources(connection)

    def event(self, part: str) -> Event:
        """The event of this id, or of the only id that begins or ends with it; raises UsageError when there is none."""
        with self.reading("reading an event") as connection:
            found = event_table.by_id(connection, part)
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"{self.name} has no event {part!r}; `vigil events list` shows those it has")
        raise UsageError(f"{part!r} may be any of {len(found)} events: {', '.join(event.id for event in found[:5])}")

    def mark(self, event_id: str, mark: MarkValue, *, who: str, note: str = "") -> Mark:
        """Adds what a person says of an event; `""` takes back what was said before, which stays in the history.

        Raises UsageError for an event that is not there, an unknown mark, no name, or a note of over 4000 characters.
        """
        with self.writing(f"marking event {event_id}") as connection:
            added = mark_table.add(connection, event_id, mark, who=who, note=note)
            [event] = event_table.by_id(connection, event_id)
            said = {"mark": added.mark, "note": note, "marked_by": added.who, "marked_utc": added.marked_utc}
            change_log.add(connection, event, ["marked"], said=said)
        return added

    def marks(self, event_id: str) -> list[Mark]:
        """Every mark of an event, the oldest first; the last one counts."""
        with self.reading("reading marks") as connection:
            return mark_table.of_event(connection, event_id)

    def newest_marks(self, event_ids: Sequence[str]) -> dict[str, Mark]:
        """The mark that counts of each of these events, without those that have none or had it taken back."""
        with self.reading("reading marks") as connection:
            return mark_table.newest(connection, event_ids)

    def sessions(self, source: str) -> list[WatchSession]:
        """The watches of a camera, by its id or name, the newest first."""
        with self.reading("reading watches") as connection:
            return session_table.of_source(connection, source)

    def session_of(self, event_id: str) -> WatchSession | None:
        """The watch that an event was found in; None when the event was saved outside any."""
        with self.reading("reading watches") as connection:
            return session_table.of_event(connection, event_id)

    def session_log(self, session: WatchSession) -> tuple[list[JudgedWindow], list[Event]]:
        """The verdicts and the events of one watch, in order."""
        with self.reading("reading verdicts") as connection:
            judged = verdict_table.of_session(connection, session.id, source=session.source)
            return judged, event_table.of_session(connection, session.id)

    def verdicts_around(self, event: Event, *, margin_s: float) -> list[JudgedWindow]:
        """The verdicts of an event and of the seconds before and after it; none when it was saved outside any watch."""
        last_s = _last_s(event) if event.end_s is None else event.end_s
        with self.reading("reading verdicts") as connection:
            session = session_table.of_event(connection, event.id)
            if session is None:
                return []
            span = {"from_s": event.onset_s - margin_s, "to_s": last_s + margin_s}
            return verdict_table.of_session(connection, session.id, source=event.source, **span)

    def keep(self, event_id: str, kind: MediaKind, name: str, write: WriteMedia) -> Path:
        """Keeps a file of an event that is stored: `write` makes it, then it takes its place and is noted.

        `name` is the suffix (`.mp4`, `.jpg`) of a clip or snapshot, and for frames the name of a folder that `write`
        fills. Raises StoreError when there is no room, and whatever else `write` raises.
        """
        path = media_path(self.folder, kind, event_id, name)
        with translate_errors(f"keeping {kind} of event {event_id}", self.name):
            size_bytes = write_whole(path, write)
        file = MediaFile(path=path, event_id=event_id, kind=kind, size_bytes=size_bytes)
        try:
            with self.writing(f"noting {kind} of event {event_id}") as connection:
                media_table.add(connection, file, root=self.folder)
        except StoreError:
            # A file that no row tells of would outlive every retention.
            remove_media(path)
            raise
        return path

    def keep_frames(self, event_id: str, window: int, jpegs: Sequence[bytes]) -> Path:
        """Keeps the exact pictures of a window that was judged: `frames/EVENT/WINDOW/0.jpg` and so on."""
        return self.keep(event_id, "frames", f"{window:06d}", lambda folder: _write_frames(folder, jpegs))

    def media(self, event_id: str) -> list[MediaFile]:
        """The files of an event."""
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
    # SQLite gives its log and its journal the rights of the database; another process may make it in this moment. What
    # else keeps it from being made is told when it is opened.
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))
