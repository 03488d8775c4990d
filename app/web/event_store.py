"""The event store that the pages read: shared with the watch, and opened once, on first use."""

import logging
from functools import lru_cache
from pathlib import Path
from weakref import WeakValueDictionary

from vigil.errors import VigilError
from vigil.store import Store
from vigil.store.media_store import KINDS

from .context import SiteContext

log = logging.getLogger(__name__)

_OPEN: WeakValueDictionary[tuple[str, Path | None], Store] = WeakValueDictionary()


def open_store(context: SiteContext) -> Store | None:
    """The watch's store; None if no events are kept or it cannot be opened."""
    settings = context.settings
    if not settings.store:
        return None
    try:
        return _opened(settings.store, settings.store_folder)
    except VigilError as error:
        log.warning("no events to show: %s", error)
        return None


def store_if_open(context: SiteContext) -> Store | None:
    """The watch's store if it has been opened; opens nothing, so that it never waits."""
    return _OPEN.get((context.settings.store, context.settings.store_folder))


@lru_cache(maxsize=8)
def _opened(url: str, folder: Path | None) -> Store:
    store = _OPEN[url, folder] = Store.open(url, folder=folder)
    return store


def media_folders(context: SiteContext) -> list[Path]:
    """The folders of clips and pictures. Only these may be served, not the database beside them."""
    store = open_store(context)
    return [] if store is None else [store.media.files.folder.resolve() / kind for kind in KINDS]


def is_media_path(path: Path, context: SiteContext) -> bool:
    """Whether a file is in one of the media folders, after resolving links."""
    return any(path.resolve().is_relative_to(folder) for folder in media_folders(context))
