"""Words for alarms: asked for in the background, so that no verdict and no announcement ever waits for them.

Most windows of most cameras are normal and cost one token. A window that alarms is asked about once more, now
for words; the server still has its pictures and its prompt in its caches (measured in docs/judge.md). A model that was
trained on verdicts alone is asked the task's question for a description instead, or its base is (`Judge.describer`).
"""

import asyncio
from collections.abc import Sequence

from vigil.events import EventChange
from vigil.judge.circuit_breaker import SupportsAsk
from vigil.verdict import JudgedWindow, Outcome, Verdict
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState
from vigil.windows import Window

MOST_WAITING = 64
"""Alarms of live sources that wait for words; those beyond stay without, which is counted."""


class AlarmDescriber:
    """Asks for the words of alarms, a few at a time."""

    def __init__(self, judge: SupportsAsk, settings: WatchSettings) -> None:
        self._judge = judge
        self._settings = settings
        self._room = asyncio.Semaphore(settings.words_in_flight)
        self._asked: set[asyncio.Task[Verdict]] = set()
        self._given_up = False

    async def start(
        self, window: Window, judged: JudgedWindow, changes: Sequence[EventChange], state: SourceState
    ) -> asyncio.Task[Verdict] | None:
        """Starts to ask for a window's words, if it is to have any. Files wait for their turn, live sources do not."""
        if not self._should_describe(judged, changes):
            return None
        if len(self._asked) >= MOST_WAITING:
            if state.live:
                state.words_skipped += 1
                return None
            await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
        if self._given_up:
            return None
        asking = asyncio.create_task(self._ask(window, judged.verdict))
        self._asked.add(asking)
        asking.add_done_callback(self._asked.discard)
        return asking

    def cancel(self) -> None:
        """Ends what is under way and asks for no more: the watch is being stopped."""
        self._given_up = True
        for asking in self._asked:
            asking.cancel()

    def _should_describe(self, judged: JudgedWindow, changes: Sequence[EventChange]) -> bool:
        if self._given_up or self._settings.words == "never" or judged.verdict.outcome is not Outcome.ALARM:
            return False
        return self._settings.words == "alarms" or any(change.kind in {"opened", "raised"} for change in changes)

    async def _ask(self, window: Window, verdict: Verdict) -> Verdict:
        async with self._room:
            return await self._judge.describe(
                window.jpegs,
                start_s=window.start_s,
                end_s=window.end_s,
                max_tokens=self._settings.words_tokens,
                describe_normal=True,
                known=verdict,
            )


async def await_description(words: "asyncio.Task[Verdict] | None") -> Verdict | None:
    """The answer with the words, when it is there; None where none was asked for, or it was given up."""
    if words is None:
        return None
    # Words are given up when the watch is being stopped; the verdict stands without them.
    await asyncio.wait([words])
    return None if words.cancelled() else words.result()
