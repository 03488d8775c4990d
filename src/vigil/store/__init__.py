"""The store: verdicts, events and their media, made durable before they are published; see docs/events.md."""

from vigil.events import Mark, MarkValue
from vigil.store.cameras import CameraRecord, CameraTable
from vigil.store.changes import ChangeLog, StoredChange
from vigil.store.cursors import ConsumerCursors
from vigil.store.event_filter import EventFilter, MarkFilter
from vigil.store.events import EventsPage
from vigil.store.media import MediaFile
from vigil.store.media_store import MediaKind, MediaStore
from vigil.store.observations import ObservationFilter, ObservationsPage
from vigil.store.postgresql import DatabaseTimeouts
from vigil.store.rejected_rows import REFUSED
from vigil.store.retention import PruneReport, RetentionSettings, prune
from vigil.store.sessions import WatchSession
from vigil.store.store import DEFAULT_STORE, Store

__all__ = [
    "DEFAULT_STORE",
    "REFUSED",
    "CameraRecord",
    "CameraTable",
    "ChangeLog",
    "ConsumerCursors",
    "DatabaseTimeouts",
    "EventFilter",
    "EventsPage",
    "Mark",
    "MarkFilter",
    "MarkValue",
    "MediaFile",
    "MediaKind",
    "MediaStore",
    "ObservationFilter",
    "ObservationsPage",
    "PruneReport",
    "RetentionSettings",
    "Store",
    "StoredChange",
    "WatchSession",
    "prune",
]
