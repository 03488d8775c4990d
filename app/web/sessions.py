"""Sessions of those who have signed in: a signed cookie that ends by itself, or when its owner signs out.

The key is made anew at each start, so that a start ends every session. A session has a random name of its own; signing
in always begins a new one.
"""

import secrets
import threading
import time
from collections.abc import Callable

from itsdangerous import BadData, URLSafeSerializer

KEY_BYTES = 32
NAME_BYTES = 16


class Sessions:
    """Begins, checks and ends sessions; for any thread. `clock` gives seconds."""

    def __init__(self, *, lifetime_s: float, clock: Callable[[], float] = time.time) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._signer = URLSafeSerializer(secrets.token_bytes(KEY_BYTES), salt="vigil session")
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, user: str) -> str:
        """The cookie of a new session of this user."""
        until_s = self._clock() + self.lifetime_s
        return str(self._signer.dumps([secrets.token_urlsafe(NAME_BYTES), user, until_s]))

    def user(self, cookie: str) -> str | None:
        """Whose session this is; None for one that is forged, over or signed out of."""
        session = self._read(cookie)
        return None if session is None else session[1]

    def end(self, cookie: str) -> str | None:
        """Ends a session for good, whoever has kept its cookie; returns whose it was."""
        session = self._read(cookie)
        if session is None:
            return None
        name, user, until_s = session
        with self._lock:
            now_s = self._clock()
            self._ended = {ended: over_s for ended, over_s in self._ended.items() if over_s > now_s}
            self._ended[name] = until_s
        return user

    def _read(self, cookie: str) -> tuple[str, str, float] | None:
        try:
            name, user, until_s = self._signer.loads(cookie)
        except (BadData, ValueError, TypeError):
            return None
        if until_s <= self._clock() or name in self._ended:
            return None
        return str(name), str(user), float(until_s)
