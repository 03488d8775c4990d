"""Describes alarms in the background, so that verdicts and alerts never wait for a description.

Most windows of most cameras are normal and cost one token. A window that raises an alarm is sent a second time to get
a description; the server still has its frames and prompt in its caches (measured in docs/judge.md). A model trained on
verdicts alone is asked the task's question for a description instead, or its base model is (`Judge.describer`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from vigil.events import EventChange
from vigil.judge.circuit_breaker import SupportsAsk
from vigil.verdict import JudgedWindow, Outcome, Verdict
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState
from vigil.windows import Window

MOST_WAITING = 64
"""How many alarms can wait for a description; beyond that, live sources skip and count it."""


class AlarmDescriber:
    """Requests descriptions of alarms, with at most `describe_in_flight` requests at a time."""

    def __init__(self, judge: SupportsAsk, settings: WatchSettings) -> None:
        self._judge = judge
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.describe_in_flight)
        self._pending: set[asyncio.Task[Verdict]] = set()
        self._cancelled = False

    async def start(
        self, window: Window, judged: JudgedWindow, changes: Sequence[EventChange], state: SourceState
    ) -> asyncio.Task[Verdict] | None:
        """Starts to describe a window if it should be described, and returns the task; returns None if not.

        If too many are waiting, files block until there is room, and live sources skip the description.
        """
        if not self._should_describe(judged, changes):
            return None
        if len(self._pending) >= MOST_WAITING:
            if state.live:
                state.descriptions_skipped += 1
                return None
            await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        if self._cancelled:
            return None
        task = asyncio.create_task(self._ask(window, judged.verdict))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    def cancel(self) -> None:
        """Cancels all descriptions and starts no more, because the watcher is being stopped."""
        self._cancelled = True
        for task in self._pending:
            task.cancel()

    def _should_describe(self, judged: JudgedWindow, changes: Sequence[EventChange]) -> bool:
        if self._cancelled or self._settings.describe == "never" or judged.verdict.outcome is not Outcome.ALARM:
            return False
        return self._settings.describe == "alarms" or any(change.kind in {"opened", "raised"} for change in changes)

    async def _ask(self, window: Window, verdict: Verdict) -> Verdict:
        async with self._slots:
            return await self._judge.describe(
                window.jpegs,
                start_s=window.start_s,
                end_s=window.end_s,
                max_tokens=self._settings.describe_tokens,
                describe_normal=True,
                known=verdict,
            )


async def await_description(task: "asyncio.Task[Verdict] | None") -> Verdict | None:
    """Waits for the answer with the description; returns None if none was requested or it was cancelled."""
    if task is None:
        return None
    # Descriptions are cancelled when the watcher is stopped; the verdict is valid without one.
    await asyncio.wait([task])
    return None if task.cancelled() else task.result()


def with_text(verdict: Verdict, answer: Verdict) -> Verdict:
    """A verdict with the text of its description, and the tokens of both."""
    return replace(verdict, text=answer.text or verdict.text, tokens=verdict.tokens + answer.tokens)
