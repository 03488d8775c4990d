"""The bell of the site: every page hears of an alarm, whatever tab it shows.

A page asks `alarms/LANGUAGE?seen=WORD` (`scripts/notify.js`) and is answered as soon as there is an alarm that it has
not heard of, or after a while. Meanwhile it costs one sleeping task: no thread, no picture, nothing of the room.
"""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from app.language import choose_language, translator
from app.web import notifications
from vigil.events import Event, EventChange
from vigil.watch import WatchObserver

HOLD_S = 25.0
"""How long an answer waits for an alarm; then the page asks again."""

KEPT = 8
"""Alarms that are told at once to a page which could not ask for a while."""


@dataclass(frozen=True, slots=True)
class StreamedAlarm:
    """An event that was raised: `number` grows by one with each alarm of this start of the pages.

    It is `late` when an earlier watch was killed before it told of it.
    """

    number: int
    event: Event
    late: bool


class AlarmStream(WatchObserver):
    """Counts the alarms of a watch and wakes the pages that wait for one; `changed` may be called from any thread."""

    def __init__(self) -> None:
        self._start = secrets.token_hex(4)
        self._alarms: deque[StreamedAlarm] = deque(maxlen=KEPT)
        self._number = 0
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], object]] = set()

    @property
    def now(self) -> str:
        """What a page has seen that was told everything; another word after every alarm and every start."""
        return f"{self._start}.{self._number}"

    @property
    def waiting(self) -> int:
        """How many pages wait for an alarm."""
        return len(self._waiting)

    def on_change(self, change: EventChange) -> None:
        if change.kind not in {"opened", "raised"}:
            return
        with self._lock:
            self._number += 1
            self._alarms.append(StreamedAlarm(self._number, change.event, change.late))
            waiting = list(self._waiting)
        for wake in waiting:
            wake()

    def since(self, seen: str) -> tuple[str, list[StreamedAlarm]]:
        """What has been seen after this, and the alarms that a page has not heard of; none for one that just opened.

        A page that was open before this start of the pages is told of every alarm since.
        """
        start, _, number = seen.partition(".")
        heard = int(number) if start == self._start and number.isdecimal() else 0
        with self._lock:
            return self.now, [alarm for alarm in self._alarms if alarm.number > heard] if seen else []

    async def wait(self, seen: str, *, hold_s: float) -> None:
        """Returns when there is more than what was seen, at the latest after `hold_s`."""
        woken, loop = asyncio.Event(), asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        with self._lock:
            if seen != self.now:
                return
            self._waiting.add(wake)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(hold_s):
                    await woken.wait()
        finally:
            with self._lock:
                self._waiting.discard(wake)


def add_alarm_route(app: FastAPI, bell: AlarmStream) -> None:
    """Adds the address that every page listens at."""

    @app.get("/alarms/{language}")
    async def alarms(language: str, seen: str = "") -> Response:
        await bell.wait(seen, hold_s=HOLD_S)
        now, news = bell.since(seen)
        t = translator(choose_language(language, ""))
        start = now.partition(".")[0]
        told = [notifications.told(each.event, t, key=f"{start}.{each.number}", late=each.late) for each in news]
        return JSONResponse({"seen": now, "alarms": told}, headers={"Cache-Control": "no-store"})
