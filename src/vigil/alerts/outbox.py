"""Outbox: a thread with an event loop in which every sink of the alerts has its own worker.

    with Outbox(settings.alerts, store) as outbox:
        ...
        outbox.on_change(change)      # an event opened; returns at once

It reads the change log of the store, so it finds what other processes write too, if somewhat later (`POLL_S`).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Self

from vigil.alerts.report_planner import WriteReport
from vigil.alerts.settings import AlertSettings, AnySink
from vigil.alerts.sink import Sink, build_sink
from vigil.alerts.sink_worker import SinkWorker
from vigil.errors import StoreError
from vigil.events import EventChange
from vigil.store import Store
from vigil.store.times import format_utc

log = logging.getLogger(__name__)

PRUNE_S = 3600.0
DAY_S = 86_400.0
ENDS_WITHIN_S = 5.0
"""How long the thread may take to end beyond `drain_s`."""


class Outbox:
    """Delivers alerts from `__enter__` to `__exit__`; its other methods may be called from any thread.

    `clock` tells the time of day; without `write_report` no report of the settings is sent. Raises UsageError at once
    if a sink lacks a secret or a program.
    """

    def __init__(
        self,
        alerts: AlertSettings,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        build: Callable[[AnySink], Sink] = build_sink,
        write_report: WriteReport | None = None,
    ) -> None:
        self._alerts = alerts
        self._store = store
        self._clock = clock
        self._write_report = write_report
        self._sinks = [(build(settings), settings) for settings in alerts.sinks]
        self._workers: Sequence[SinkWorker] = ()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def on_change(self, change: EventChange) -> None:
        """Takes note of a change that was just published."""
        self._call(partial(self._tell_workers, change))

    def wake(self) -> None:
        """Makes all sinks look for changes now."""
        self._call(self._wake_workers)

    def close(self) -> None:
        """Sends what is due, for `drain_s` at most, and ends the thread; the rest is sent at the next start."""
        self._call(lambda: self._stopping.set() if self._stopping is not None else None)
        self._thread.join(self._alerts.drain_s + ENDS_WITHIN_S)
        if self._thread.is_alive():
            log.error("alerts: the outbox did not end in time")

    def _tell_workers(self, change: EventChange) -> None:
        for worker in self._workers:
            worker.on_change(change)

    def _wake_workers(self) -> None:
        for worker in self._workers:
            worker.wake()

    def _call(self, act: Callable[[], object]) -> None:
        with self._lock, suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(act)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except Exception:
            log.exception("alerts: the outbox failed; this is a fault in Vigil, please report it")
        finally:
            with self._lock:
                self._loop = None
            self._ready.set()

    async def _work(self) -> None:
        self._stopping = asyncio.Event()
        make = [(sink, settings) for sink, settings in self._sinks]
        self._workers = [
            SinkWorker(*each, self._alerts, self._store, clock=self._clock, write_report=self._write_report)
            for each in make
        ]
        # Here, before anything is watched: an event of the first second is not older than the sink.
        # The present is read first, as that is possible when nothing can be written.
        with suppress(StoreError):
            for worker in self._workers:
                await asyncio.to_thread(worker.note_present)
            for worker in self._workers:
                await asyncio.to_thread(worker.begin)
        with self._lock:
            self._loop = asyncio.get_running_loop()
        self._ready.set()
        pruning = asyncio.create_task(self._prune_periodically())
        running = [asyncio.create_task(worker.run()) for worker in self._workers]
        await self._stopping.wait()
        for worker in self._workers:
            worker.stop()
        if running:
            await asyncio.wait(running, timeout=self._alerts.drain_s)
        for task in (pruning, *running):
            task.cancel()
        await asyncio.gather(*(worker.cancel() for worker in self._workers), return_exceptions=True)

    async def _prune_periodically(self) -> None:
        while True:
            before = format_utc(max(0.0, self._clock() - self._alerts.keep_days * DAY_S))
            try:
                await asyncio.to_thread(self._store.deliveries.prune, before_utc=before)
            except StoreError as error:
                log.warning("alerts: old deliveries could not be deleted: %s", error)
            await asyncio.sleep(PRUNE_S)
