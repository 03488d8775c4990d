"""The store: verdicts, events and their media, durable before anything is announced; see docs/events.md."""

from vigil.events.mark import Mark, MarkWord
from vigil.store.camera_table import CameraRecord, CameraTable
from vigil.store.change_log import ChangeLog, StoredChange
from vigil.store.cursors import ConsumerCursors
from vigil.store.filter import EventFilter, MarkFilter
from vigil.store.media import MediaFile, MediaKind
from vigil.store.refused import REFUSED
from vigil.store.retention import Pruned, Retention, prune
from vigil.store.session_table import Session
from vigil.store.store import DEFAULT_STORE, Store

__all__ = [
    "DEFAULT_STORE",
    "REFUSED",
    "CameraRecord",
    "CameraTable",
    "ChangeLog",
    "ConsumerCursors",
    "EventFilter",
    "Mark",
    "MarkFilter",
    "MarkWord",
    "MediaFile",
    "MediaKind",
    "Pruned",
    "Retention",
    "Session",
    "Store",
    "StoredChange",
    "prune",
]
