"""Fills the full-text index of an older store, a few hundred events at a time."""

from sqlalchemy import Connection

from vigil.store.search import index_events, missing


def fill_search(connection: Connection) -> None:
    """Indexes all events."""
    while some := missing(connection):
        index_events(connection, some)
