"""Rate limits for sign-in attempts: per address, per user, and overall.

An attempt over the limit is refused before the password is checked, so that neither response nor timing reveals
whether it was right. A correct password gives its attempt back.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

SLOTS = 1 << 16
"""Counters that addresses and users share, chosen by a keyed hash: memory is bounded, and nothing is evicted."""


@dataclass(frozen=True, slots=True)
class TryRate:
    """A burst of `burst` attempts, then one every `every_s` seconds."""

    burst: int
    every_s: float


PER_ADDRESS = TryRate(burst=10, every_s=6.0)
PER_USER = TryRate(burst=20, every_s=6.0)
IN_ALL = TryRate(burst=60, every_s=0.5)


class LoginThrottle:
    """Limits attempts by the generic cell rate algorithm: a counter holds only the time at which it is free again."""

    def __init__(
        self,
        *,
        per_address: TryRate = PER_ADDRESS,
        per_user: TryRate = PER_USER,
        in_all: TryRate = IN_ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rates = {"address": per_address, "user": per_user, "all": in_all}
        self._clock = clock
        self._key = secrets.token_bytes(16)
        self._free_s: dict[tuple[str, int], float] = {}

    def wait_s(self, address: str, user: str) -> float:
        """Returns 0 and counts the attempt if it is allowed, else the seconds to wait."""
        now_s = self._clock()
        counters = self._counters(address, user)
        waits = (
            self._free_s.get(counter, 0.0) - now_s - (rate.burst - 1) * rate.every_s
            for counter, rate in counters.items()
        )
        longest_s = max(0.0, *waits)
        if longest_s > 0:
            return longest_s
        for counter, rate in counters.items():
            self._free_s[counter] = max(self._free_s.get(counter, 0.0), now_s) + rate.every_s
        return 0.0

    def give_back(self, address: str, user: str) -> None:
        """Gives back an attempt whose password was right."""
        for counter, rate in self._counters(address, user).items():
            self._free_s[counter] = self._free_s.get(counter, rate.every_s) - rate.every_s

    def _counters(self, address: str, user: str) -> dict[tuple[str, int], TryRate]:
        named = {"address": address, "user": user, "all": ""}
        return {(kind, self._slot(name)): self._rates[kind] for kind, name in named.items()}

    def _slot(self, name: str) -> int:
        digest = blake2b(name.encode(errors="surrogatepass"), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) % SLOTS
