"""The store: verdicts, events and their media, durable before anything is announced; see docs/events.md."""

from vigil.events import Mark, MarkValue
from vigil.store.events import EventFilter, MarkFilter
from vigil.store.media import MediaFile, MediaKind
from vigil.store.rejected_rows import REFUSED
from vigil.store.retention import PruneReport, RetentionSettings, prune
from vigil.store.sessions import WatchSession
from vigil.store.store import DEFAULT_STORE, Store

__all__ = [
    "DEFAULT_STORE",
    "REFUSED",
    "EventFilter",
    "Mark",
    "MarkFilter",
    "MarkValue",
    "MediaFile",
    "MediaKind",
    "PruneReport",
    "RetentionSettings",
    "Store",
    "WatchSession",
    "prune",
]
