"""Assigns camera ids to sources: the id from the store, or else a new one."""

import logging
import secrets
import threading

from vigil.errors import StoreError, redact
from vigil.sources.address import Address
from vigil.sources.source_identity import identity_of
from vigil.store import CameraRecord, Store
from vigil.store.camera_views import StoredViews
from vigil.store.cameras import CameraSettings, derived_id

log = logging.getLogger(__name__)


class CameraIds:
    """Camera ids of a watcher's sources, stable for as long as it runs; thread-safe.

    Without a store, or while it cannot be read, ids are derived with a random key and valid only for this watcher.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._key = secrets.token_hex(16)
        self._identities: dict[str, str] = {}
        self._lock = threading.Lock()

    def of(self, address: Address) -> str:
        """The camera id of a source; takes about 50 ms for a stream, the first time."""
        identity = identity_of(address)
        found = self._stored(identity, address.name)
        with self._lock:
            camera_id = found or derived_id(identity, self._key, is_taken=lambda each: self._is_other(each, identity))
            self._identities[camera_id] = identity
        return camera_id

    def settings_of(self, address: Address) -> CameraSettings:
        """What holds for a source: masks, place and rules; raises StoreError if the store cannot be read."""
        if self._store is None:
            rules = "" if address.rules is None else address.rules.to_text()
            return CameraSettings(masks=address.masks or (), place=address.place, rules=rules)
        return self._store.cameras.settings_of(record_of(address, ""))

    def views_of(self, camera_id: str) -> StoredViews:
        """The usual views of a camera; raises StoreError if the store cannot be read."""
        return StoredViews() if self._store is None else self._store.camera_views.of(camera_id)

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
    """The camera record of a source, without secrets; takes about 50 ms for a stream, the first time."""
    shown = redact(address.location) if address.kind == "stream" else address.location
    return CameraRecord(
        id=camera_id,
        name=address.name,
        identity=identity_of(address),
        kind=address.kind,
        address=shown,
        place=address.place,
        masks=address.masks,
        rules=None if address.rules is None else address.rules.to_text(),
    )
