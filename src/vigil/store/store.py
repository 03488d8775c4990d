"""The store: sessions, cameras, verdicts, observations, events with changes and marks, and the media of events.

    with Store.open("vigil-store/vigil.db") as store:
        store.sessions.start(source="door", epoch_s=time.time(), model="m", task="fight")
        store.events.save(event)     # durable when it returns
        store.media.keep(event.id, "clips", ".mp4", lambda path: footage.clip(path, from_s=0, to_s=9))

Each table is an attribute, and each of its methods is one transaction: if it fails, it raises StoreError, has changed
nothing and can be retried. Module functions that take a `Connection` run in the transaction of their caller, so that
one transaction can write several tables. The store is thread-safe, and several processes may share a database.
"""

import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

from vigil.errors import StoreError, UsageError
from vigil.files import PRIVATE_FILE, make_private_folder
from vigil.store.acknowledgements import AcknowledgementTable
from vigil.store.api_keys import ApiKeyTable
from vigil.store.audit import AuditTable
from vigil.store.camera_views import CameraViewTable
from vigil.store.cameras import CameraTable
from vigil.store.changes import ChangeLog
from vigil.store.cursors import ConsumerCursors
from vigil.store.database import Database, display_url, enable_wal, parse_url, sqlite_path, translate_errors
from vigil.store.deliveries import DeliveryTable
from vigil.store.events import EventTable
from vigil.store.file_permissions import restrict_store_files
from vigil.store.marks import MarkTable
from vigil.store.media import MediaTable
from vigil.store.media_place import media_store_of
from vigil.store.media_store import FolderMediaStore, MediaStore
from vigil.store.migrations import NEWEST, migrate, version_of
from vigil.store.missed_spans import MissedSpanTable
from vigil.store.observation_vectors import ObservationVectorTable
from vigil.store.observations import ObservationTable
from vigil.store.postgresql import DatabaseTimeouts
from vigil.store.ranked_search import RankedSearch
from vigil.store.rejected_rows import RejectedRows
from vigil.store.search import SearchIndex
from vigil.store.sessions import SessionTable, SourceLocks
from vigil.store.users import UserTable
from vigil.store.verdict_strips import VerdictStripTable
from vigil.store.verdicts import VerdictTable

DEFAULT_STORE = "outputs/watch/events.db"
"""The store that a watcher uses by default."""


class Store:
    """A database, its tables, and the media folder beside it."""

    def __init__(self, database: Database, *, folder: Path, files: MediaStore | None = None) -> None:
        self.database = database
        self.name = database.name
        self.folder = folder
        self.locks = SourceLocks(folder)
        self.cameras = CameraTable(database)
        self.camera_views = CameraViewTable(database)
        self.sessions = SessionTable(database, self.locks)
        self.verdicts = VerdictTable(database, self.sessions)
        self.verdict_strips = VerdictStripTable(database)
        self.events = EventTable(database, self.sessions)
        self.changes = ChangeLog(database)
        self.cursors = ConsumerCursors(database)
        self.deliveries = DeliveryTable(database)
        self.marks = MarkTable(database)
        self.missed_spans = MissedSpanTable(database)
        self.search = SearchIndex(database)
        self.observations = ObservationTable(database)
        self.observation_vectors = ObservationVectorTable(database)
        self.ranked = RankedSearch(database)
        self.acknowledgements = AcknowledgementTable(database)
        self.media = MediaTable(database, files or FolderMediaStore(folder))
        self.users = UserTable(database)
        self.api_keys = ApiKeyTable(database)
        self.audit = AuditTable(database)
        self.rejected_rows = RejectedRows(folder)

    @classmethod
    def open(
        cls,
        url: str | Path,
        *,
        folder: Path | None = None,
        create: bool = True,
        timeouts: DatabaseTimeouts | None = None,
        media: str = "",
    ) -> Self:
        """Opens a store by path or URL, creates or migrates its tables, and with `create` makes a missing folder.

        Media are in `folder`, by default the folder of the SQLite file, or in a bucket (`s3_media`) if one was named as
        `media` when the store had none yet; later openings find them there. Raises StoreError if the store is damaged,
        locked, missing (without `create`), not writable or written by a newer Vigil; UsageError if the URL cannot be
        used.
        """
        parsed = parse_url(url)
        path = sqlite_path(parsed)
        if path is None and folder is None:
            raise UsageError(f"{display_url(parsed)}: say in which folder its snapshots and clips belong")
        if path is not None:
            _make_room(path, create=create)
        database = Database(parsed, timeouts)
        folder = folder or (path or Path()).parent
        restrict_store_files(folder, path)
        try:
            _bring_up_to_date(database, is_sqlite=path is not None)
            return cls(database, folder=folder, files=media_store_of(database, folder, wanted=media))
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sharing(self, action: str) -> AbstractContextManager[None]:
        """Makes all that this thread reads in the block one transaction; raises StoreError that names the action."""
        return self.database.sharing(action)

    def close(self) -> None:
        """Closes the database and releases all camera locks; a later call opens it again."""
        self.locks.release_all()
        self.database.close()


def _bring_up_to_date(database: Database, *, is_sqlite: bool) -> None:
    with database.reading("opening") as connection:
        version = version_of(connection, where=database.name)
    if version == NEWEST:
        return
    if is_sqlite:
        with translate_errors("opening", database.name):
            enable_wal(database.engine)
    with database.writing("migrating") as connection:
        migrate(connection, where=database.name)


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
