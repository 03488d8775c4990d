"""A limit on the rate of requests for each caller: the generic cell rate algorithm, in bounded memory."""

import secrets
import time
from collections.abc import Callable
from hashlib import blake2b

SLOTS = 1 << 14
"""Counters that callers share, chosen by a keyed hash: memory is bounded, and nothing is evicted."""


class RateLimit:
    """Allows a burst of `burst` requests, then one every `every_s` seconds, for each caller."""

    def __init__(self, *, burst: int, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tolerance_s = (burst - 1) * every_s
        self._every_s = every_s
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._free_s: dict[int, float] = {}

    def wait_s(self, caller: str) -> float:
        """Returns 0 and counts the request if it is allowed, else the seconds to wait."""
        now_s, slot = self._clock(), self._slot(caller)
        free_s = self._free_s.get(slot, 0.0)
        wait_s = free_s - now_s - self._tolerance_s
        if wait_s > 0:
            return wait_s
        self._free_s[slot] = max(free_s, now_s) + self._every_s
        return 0.0

    def _slot(self, caller: str) -> int:
        digest = blake2b(caller.encode(errors="surrogatepass"), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) % SLOTS
