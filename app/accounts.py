"""The users and keys that are known: those of the users file and those of the store, together.

The store is read again every `FRESH_S` seconds, so that `vigil users` and `vigil keys` take effect while a server runs.
If it cannot be read, what was known last remains known; a key that was never seen is refused. A name that is in the
file and in the store is that of the file.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import StoreError
from vigil.store import Store
from vigil.store.api_keys import ApiKey, digest_of
from vigil.store.database import parse_url, sqlite_path
from vigil.store.times import ExpiryClock, format_utc
from vigil.store.users import Role, StoredUser

from .passwords import Users

log = logging.getLogger(__name__)

FRESH_S = 1.0
MOST_KEYS = 512
"""Keys that are remembered for `FRESH_S`; more are looked up again."""


def existing_store(url: str, folder: Path | None) -> Store | None:
    """Opens a store if it is there; None without one, or while its file does not exist. Raises StoreError."""
    path = sqlite_path(parse_url(url)) if url else None
    if not url or (path is not None and not path.exists()):
        return None
    return Store.open(url, folder=folder, create=False)


@dataclass(frozen=True, slots=True)
class _Looked:
    key: ApiKey | None
    at_s: float


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
        self._read_s = -float("inf")
        self._keys: OrderedDict[str, _Looked] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._file) or bool(self._stored())

    @property
    def is_stale(self) -> bool:
        """Whether the next question reads the store."""
        return self._clock() - self._read_s >= FRESH_S

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
        digest, now_s = digest_of(secret), self._clock()
        with self._lock:
            known = self._keys.get(digest)
        if known is None or now_s - known.at_s >= FRESH_S:
            known = self._look_up(secret, digest, known, now_s)
        key = known.key
        return key if key is not None and key.state(format_utc(self._now())) == "valid" else None

    def _look_up(self, secret: str, digest: str, before: _Looked | None, now_s: float) -> _Looked:
        assert self._store is not None
        try:
            looked = _Looked(self._store.api_keys.find(secret), now_s)
        except StoreError as error:
            log.warning("a key cannot be looked up: %s", error)
            return before or _Looked(None, now_s)
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
        with self._lock:
            self._read_s = self._clock()
        store = self._opened()
        try:
            self._users = {} if store is None else {user.name: user for user in store.users.all()}
        except StoreError as error:
            log.warning("the users of the store cannot be read: %s", error)
        return self._users
