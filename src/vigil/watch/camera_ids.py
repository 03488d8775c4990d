"""Which camera a source is: by what the store knows of it, else by an id that it gets now."""

import logging
import secrets
import threading

from vigil.errors import StoreError, redact
from vigil.sources.address import Address
from vigil.sources.source_identity import identity_of
from vigil.store import CameraRecord, Store
from vigil.store.cameras import derived_id

log = logging.getLogger(__name__)


class CameraIds:
    """Ids of the cameras of a watch, the same for the same source as long as it lasts; may be asked from any thread.

    Without a store, or while that cannot be read, they are of this watch alone.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._key = secrets.token_hex(16)
        self._identities: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, address: Address) -> str:
        """The id of a source; takes some 50 ms for a stream, the first time."""
        identity = identity_of(address)
        found = self._stored(identity, address.name)
        with self._lock:
            camera_id = found or derived_id(identity, self._key, is_taken=lambda each: self._is_other(each, identity))
            self._identities[camera_id] = identity
        return camera_id

    def _is_other(self, camera_id: str, identity: str) -> bool:
        return self._identities.get(camera_id, identity) != identity

    def _stored(self, identity: str, name: str) -> str:
        if self._store is None:
            return ""
        try:
            return self._store.cameras.id_of(identity, name)
        except StoreError as error:
            log.warning("%s gets an id of its own, as the cameras of the store cannot be read: %s", name, error)
            return ""


def record_of(address: Address, camera_id: str) -> CameraRecord:
    """A source as its store keeps it: nothing of it is secret. Takes some 50 ms for a stream, the first time."""
    shown = redact(address.location) if address.kind == "stream" else address.location
    return CameraRecord(
        id=camera_id, name=address.name, identity=identity_of(address), kind=address.kind, address=shown
    )
