"""The users and keys that are known: those of the users file and those of the store, together.

The store is read again as soon as anything was committed to it, so that `vigil users` and `vigil keys` take effect at
the next request while a server runs; where a store cannot tell that (PostgreSQL), every `FRESH_S` seconds. If it cannot
be read, what was known last remains known; a key that was never seen is refused. A name that is in the file and in the
store is that of the file.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import StoreError
from vigil.store import Store
from vigil.store.api_keys import ApiKey, digest_of
from vigil.store.data_version import CommittedVersion
from vigil.store.database import parse_url, sqlite_path
from vigil.store.times import ExpiryClock, format_utc
from vigil.store.users import Role, StoredUser

from .passwords import Users

log = logging.getLogger(__name__)

FRESH_S = 1.0
MOST_KEYS = 512
"""Keys that are remembered; more are looked up again."""


def existing_store(url: str, folder: Path | None) -> Store | None:
    """Opens a store if it is there; None without one, or while its file does not exist. Raises StoreError."""
    path = sqlite_path(parse_url(url)) if url else None
    if not url or (path is not None and not path.exists()):
        return None
    return Store.open(url, folder=folder, create=False)


@dataclass(frozen=True, slots=True)
class _Reading:
    """When the store was read: what its version was, None if it told none, and the clock."""

    version: CommittedVersion | None
    at_s: float


@dataclass(frozen=True, slots=True)
class _Looked:
    key: ApiKey | None
    reading: _Reading


class Accounts:
    """Users by name and keys by secret; thread-safe. Every method may read the store: call it in a thread.

    `clock` is that of what is read again, `now` the `time.time()` by which keys expire.
    """

    def __init__(
        self,
        file: Users | None = None,
        open_store: Callable[[], Store | None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._file = file or Users()
        self._open_store = open_store
        self._store: Store | None = None
        self._clock = clock
        self._now = now or ExpiryClock()
        self._lock = threading.Lock()
        self._users: dict[str, StoredUser] = {}
        self._users_read = _Reading(None, -math.inf)
        self._keys: OrderedDict[str, _Looked] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._file) or bool(self._stored())

    @property
    def is_stale(self) -> bool:
        """Whether the next question reads the store."""
        return not self._is_fresh(self._users_read)

    def _is_fresh(self, reading: _Reading) -> bool:
        """Whether what was read still holds; asks the store for its version, which takes no time."""
        version = self._version()
        if version is None:
            return self._clock() - reading.at_s < FRESH_S
        return version == reading.version

    def _version(self) -> CommittedVersion | None:
        return None if self._store is None else self._store.database.data_version.now()

    def _reading(self) -> _Reading:
        """The present, asked for before the store is read."""
        return _Reading(self._version(), self._clock())

    def hash_of(self, name: str) -> str | None:
        """The argon2 hash of a user's password; None if there is no such user."""
        found = self._file.hash_of(name)
        if found is not None:
            return found
        user = self._stored().get(name)
        return None if user is None else user.password_hash

    def role_of(self, name: str) -> Role | None:
        """The role of a user; None if there is none of this name."""
        found = self._file.role_of(name)
        if found is not None:
            return found
        user = self._stored().get(name)
        return None if user is None else user.role

    def may_change(self, name: str | None, *, role: Role = Role.OPERATOR) -> bool:
        """Whether this user may change what others see, by default as an operator; without users, everyone may."""
        if not self:
            return True
        held = None if name is None else self.role_of(name)
        return held is not None and held.includes(role)

    def key(self, secret: str) -> ApiKey | None:
        """The valid key with this secret; None if it is unknown, revoked or expired."""
        if self._opened() is None:
            return None
        is_known, key = self.key_at_once(secret)
        return key if is_known else self._valid(self._look_up(secret, digest_of(secret)).key)

    def key_at_once(self, secret: str) -> tuple[bool, ApiKey | None]:
        """Whether it is known without reading the store who has this secret, and then the same as `key`."""
        with self._lock:
            known = self._keys.get(digest_of(secret))
        if known is None or not self._is_fresh(known.reading):
            return False, None
        return True, self._valid(known.key)

    def _valid(self, key: ApiKey | None) -> ApiKey | None:
        return key if key is not None and key.state(format_utc(self._now())) == "valid" else None

    def _look_up(self, secret: str, digest: str) -> _Looked:
        assert self._store is not None
        reading = self._reading()
        try:
            looked = _Looked(self._store.api_keys.find(secret), reading)
        except StoreError as error:
            log.warning("a key cannot be looked up: %s", error)
            return self._keys.get(digest) or _Looked(None, reading)
        with self._lock:
            if looked.key is not None:
                self._keys[digest] = looked
                self._keys.move_to_end(digest)
            while len(self._keys) > MOST_KEYS:
                self._keys.popitem(last=False)
        return looked

    def _opened(self) -> Store | None:
        """The store, opened when it is there: `vigil users add` or the watch may make it later."""
        if self._store is None:
            try:
                self._store = self._open_store()
            except StoreError as error:
                log.warning("no users and keys of the store are known: %s", error)
        return self._store

    def _stored(self) -> dict[str, StoredUser]:
        if not self.is_stale:
            return self._users
        store = self._opened()
        with self._lock:
            self._users_read = self._reading()
        try:
            self._users = {} if store is None else {user.name: user for user in store.users.all()}
        except StoreError as error:
            log.warning("the users of the store cannot be read: %s", error)
        return self._users
