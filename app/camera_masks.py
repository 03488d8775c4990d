"""The masks of a camera that is opened beside the watch: by a chat, an analysis, or to try its address."""

from dataclasses import replace

from vigil.sources.address import Address
from vigil.watch.camera_ids import record_of

from .web.context import SiteContext
from .web.event_store import open_store


def with_masks(context: SiteContext, address: Address) -> Address:
    """The address with the masks that the store has for its camera; raises StoreError if they cannot be read.

    Takes about 50 ms for a stream, the first time.
    """
    store = open_store(context)
    if store is None or address.kind == "file":
        return address
    return replace(address, masks=store.cameras.settings_of(record_of(address, "")).masks)
