"""The store: verdicts, events and their media, durable before anything is announced; see docs/events.md."""

from vigil.events.mark import Mark, MarkValue
from vigil.store.filter import EventFilter, MarkFilter
from vigil.store.media import MediaFile, MediaKind
from vigil.store.refused import REFUSED
from vigil.store.retention import PruneReport, RetentionSettings, prune
from vigil.store.session_table import WatchSession
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
    "WatchSession",
    "Store",
    "prune",
]
