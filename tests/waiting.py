"""Waiting for what must come about; the limits end a hang and say nothing of speed.

Every wait of the tests goes by `HANG_S`, apart from those whose end is what is tried. pytest's own limit
(`timeout` in pyproject.toml) is four times that, so that a wait that is in vain says what it waited for.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

HANG_S = 300.0
"""What has not come about by now never will, on a host however slow and crowded."""

HANG_MS = 1000 * HANG_S
"""The same for Playwright."""


LOOKING_SHARE = 0.1
"""The share of a wait that looking may take: a request to a service, or a question to a page, costs CPU."""

LONGEST_PAUSE_S = 0.2


def until(condition: Callable[[], Any], *, within_s: float = HANG_S, every_s: float = 0.01) -> None:
    """Waits until a condition holds; looks every so often, and less often where a look takes long."""
    give_up_s = time.monotonic() + within_s
    while (pause_s := _pause_after_a_look(condition, every_s)) is not None:
        assert time.monotonic() < give_up_s, f"it did not come about within {within_s:g} s"
        time.sleep(pause_s)


async def until_async(condition: Callable[[], Any], *, within_s: float = HANG_S, every_s: float = 0.01) -> None:
    """Waits until a condition holds, while the loop goes on, as `until` does."""
    give_up_s = time.monotonic() + within_s
    while (pause_s := _pause_after_a_look(condition, every_s)) is not None:
        assert time.monotonic() < give_up_s, f"it did not come about within {within_s:g} s"
        await asyncio.sleep(pause_s)


def _pause_after_a_look(condition: Callable[[], Any], every_s: float) -> float | None:
    """How long to wait before the next look; None if the condition holds."""
    began_s = time.monotonic()
    if condition():
        return None
    return max(every_s, min(LONGEST_PAUSE_S, (time.monotonic() - began_s) * (1 / LOOKING_SHARE - 1)))


class Hands:
    """A clock that stands still until a test moves it; `stop` moves it by as much as it is waited on.

    `waits` are the seconds that were waited for, in order.
    """

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s
        self.waits: list[float] = []
        self.stop = _Waited(self)

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.waits.append(seconds)
        self.now_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Lets time pass in a loop."""
        self.wait(seconds)
        await asyncio.sleep(0)


class _Waited(threading.Event):
    def __init__(self, hands: Hands) -> None:
        super().__init__()
        self._hands = hands

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set() and timeout:
            self._hands.wait(timeout)
        return self.is_set()


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test moves on: what is due by then happens at once.

    Deadlines of a thousand seconds are then met, or missed, on any host.
    """

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s

    def skip(self, seconds: float) -> None:
        """Lets time pass, from another thread: first what has come so far is handled, then what is due."""
        self._settle()
        self._soon(partial(self._move, seconds))
        self._settle()

    def _move(self, seconds: float) -> None:
        self.ahead_s += seconds

    def _settle(self) -> None:
        for _ in range(10):
            turned = threading.Event()
            if not self._soon(turned.set):
                return
            turned.wait(1.0)
            time.sleep(0.001)

    def _soon(self, act: Callable[[], object]) -> bool:
        with suppress(RuntimeError):
            self.call_soon_threadsafe(act)
            return True
        return False
