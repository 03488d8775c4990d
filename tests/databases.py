"""Stores on both kinds of database, for tests."""

from vigil.store import Store


def another(store: Store) -> Store:
    """The same store, opened once more, as by another process."""
    return Store.open(store.name, folder=store.folder)
