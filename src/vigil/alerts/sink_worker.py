"""SinkWorker: plans and sends what one sink gets, on its own, so that no sink waits for another.

Changes are planned (into rows of `deliveries`) and sent as they come. A failed delivery is due again after a back-off,
which is in its row, so that a restart does not forget it. While a sink cannot be reached, one delivery at a time probes
it, and what is new is tried once; when it works again, everything is due at once.

While the store is in trouble, alarms are sent from memory, marked as not durable. Their keys are those that the store
would give, so that what the store holds of them later is not sent again.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from vigil.alerts.message import AlertMessage, compose
from vigil.alerts.report_planner import REPORT, ReportPlanner, WriteReport, due_report
from vigil.alerts.routing import BEGINNINGS, MemoryHistory, Router, epoch_s
from vigil.alerts.settings import AlertSettings, AnySink
from vigil.alerts.sink import Sink, TextSink
from vigil.errors import DeliveryError, StoreError, UsageError
from vigil.events import EventChange
from vigil.store import MediaFile, Store, StoredChange
from vigil.store.deliveries import Delivery, DeliveryHistory
from vigil.store.event_record import event_record
from vigil.store.media_store import FRAMES
from vigil.store.times import format_utc

log = logging.getLogger(__name__)

POLL_S = 1.0
RETRY_MIN_S = 1.0
UNREACHABLE_MAX_S = 30.0
"""The longest time between two attempts to reach a sink; each costs one connection."""

REFUSED_MAX_S = 300.0
"""The longest time between two attempts to send what a sink refuses."""

LEAST_ATTEMPTS = 3
"""A delivery is tried this often before it is given up, whatever the clock says."""

ESCALATED_WITHIN_S = 86_400.0
"""Events that nobody marked for longer than this are history: they do not all go out when escalation is turned on."""

PATIENCE_S = 3.0
"""How long an alarm waits for the store before it goes out without it."""

MEDIA_POLL_S = 0.25
MOST_KEYS = 10_000


def backoff_s(attempts: int, *, is_unreachable: bool) -> float:
    """Seconds until the next attempt, doubled each time, with some jitter."""
    longest_s = UNREACHABLE_MAX_S if is_unreachable else REFUSED_MAX_S
    wait_s = min(longest_s, RETRY_MIN_S * 2.0 ** min(attempts, 30))
    return wait_s * random.uniform(0.9, 1.1)


class SinkWorker:
    """Works for one sink in an event loop until `stop`; `on_change` and `wake` are called in that loop."""

    def __init__(
        self,
        sink: Sink,
        settings: AnySink,
        alerts: AlertSettings,
        store: Store,
        *,
        clock: Callable[[], float],
        write_report: WriteReport | None = None,
    ) -> None:
        self.name = settings.name
        self.poll_s = POLL_S
        self._sink = sink
        self._settings = settings
        self._alerts = alerts
        self._store = store
        self._clock = clock
        self._router = Router(settings, alerts)
        self._write_report = write_report
        self._reports = ReportPlanner(settings, alerts, store, clock=clock)
        self._memory = MemoryHistory()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._is_mine = False
        self._has_begun = False
        self._present: int | None = None
        self._is_failing = False
        self._trouble = ""
        self._planning: asyncio.Task[None] | None = None
        self._pending: list[EventChange] = []
        self._fresh: list[Delivery] = []
        self._active: dict[int, asyncio.Task[None]] = {}
        self._direct: dict[str, asyncio.Task[None]] = {}
        self._planned: dict[str, None] = {}
        self._sent: dict[str, None] = {}

    @property
    def consumer(self) -> str:
        """The name of the sink's cursor in the change log."""
        return consumer_of(self.name)

    def note_present(self) -> None:
        """Reads where the change log is now, which is where a new sink starts; raises StoreError."""
        if self._present is None:
            self._present = self._store.changes.last()

    def begin(self) -> None:
        """Makes the sink's cursors, at the present if it is new; raises StoreError."""
        self.note_present()
        present = self._present or 0
        self._store.deliveries.begin(self.consumer, at=present)
        if self._settings.escalate:
            self._store.deliveries.begin(f"{self.consumer}:escalations", at=present)
        self._reports.begin()
        self._has_begun = True

    def on_change(self, change: EventChange) -> None:
        """Takes note of a change: one that is not stored is sent at once, if the sink gets it."""
        if change.kind in BEGINNINGS and change.sequence is None:
            self._send_direct(change)
        elif change.kind in BEGINNINGS:
            self._pending.append(change)
        self.wake()

    def wake(self) -> None:
        """Makes the worker look for changes now."""
        self._wake.set()

    def stop(self) -> None:
        """Makes `run` return once nothing more is due."""
        self._is_stopping = True
        self.wake()

    async def run(self) -> None:
        """Plans and sends until `stop`."""
        while True:
            self._wake.clear()
            started = await self._guarded(self._turn()) or 0
            if self._is_stopping and not started and not self._active and not self._direct:
                return
            await self._rest(0.01 if started else self.poll_s)

    async def cancel(self) -> None:
        """Abandons what is under way; it is sent again at the next start."""
        under_way = [*self._active.values(), *self._direct.values()]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._sink.close()

    async def _turn(self) -> int:
        """Plans what is new and starts to send what is due; returns how many it started."""
        if not self._is_mine:
            self._is_mine = await asyncio.to_thread(self._store.locks.take, self.consumer)
        pending, self._pending = self._pending, []
        if not self._is_mine:
            # Another process on this machine works for this sink.
            return 0
        try:
            await self._plan_patiently()
        except (StoreError, TimeoutError) as error:
            self._note_trouble(str(error) or f"it takes longer than {PATIENCE_S:g} s")
            for change in pending:
                self._send_direct(change)
            return 0
        started = await self._start_due()
        self._note_no_trouble()
        return started

    async def _plan_patiently(self) -> None:
        """Plans in a thread; raises TimeoutError if that takes too long, and then goes on waiting for it next time."""
        if self._planning is None:
            self._planning = asyncio.create_task(asyncio.to_thread(self._plan))
        done, _ = await asyncio.wait([self._planning], timeout=PATIENCE_S)
        if not done:
            raise TimeoutError
        planned, self._planning = self._planning, None
        planned.result()

    def _plan(self) -> None:
        if not self._has_begun:
            self.begin()
        now_s = self._clock()
        now_utc = format_utc(now_s)
        table = self._store.deliveries
        if self._write_report is not None:
            self._reports.plan()
        plan = partial(table.plan, self.name, self._decide, consumer=self.consumer, now_utc=now_utc)
        while (made := plan()) is not None:
            self._remember(made)
        if self._settings.escalate:
            decide = partial(self._router.escalate, now_utc=now_utc)
            before_s = now_s - self._alerts.escalate_after_s
            made = table.escalate(
                self.name,
                decide,
                consumer=f"{self.consumer}:escalations",
                after_utc=format_utc(max(0.0, before_s - ESCALATED_WITHIN_S)),
                before_utc=format_utc(max(0.0, before_s)),
                now_utc=now_utc,
            )
            self._remember(made)

    def _decide(self, change: StoredChange, history: DeliveryHistory) -> Delivery | None:
        """Decides as the router does; revisions also rise above those that were sent from memory."""
        made = self._router.decide(change, history)
        if made is None or made.state == "skipped" or made.kind in BEGINNINGS:
            return made
        return replace(made, revision=max(made.revision, self._memory.revision_of(made.incident_id) + 1))

    def _remember(self, made: list[Delivery]) -> None:
        for each in made:
            self._memory.add(each)
            _keep(self._planned, each.key)
        # What begins an incident has nothing to wait for, so it need not be looked up again.
        self._fresh += [each for each in made if each.state == "waiting" and each.revision == 1]

    async def _start_due(self) -> int:
        fresh, self._fresh = self._fresh, []
        started = self._start(fresh[: max(0, self._settings.in_flight - len(self._active))])
        room = self._settings.in_flight - len(self._active)
        if room < 1:
            return started
        look = partial(
            self._store.deliveries.due,
            self.name,
            now_s=self._clock(),
            besides=list(self._active),
            fresh_only=self._is_failing and bool(self._active),
            limit=1 if self._is_failing else room,
        )
        return started + self._start(await asyncio.to_thread(look))

    def _start(self, due: Sequence[Delivery]) -> int:
        """Starts to send deliveries, except those that are being sent from memory; returns how many."""
        chosen = [each for each in due if each.key not in self._direct and each.id not in self._active]
        for each in chosen:
            task = self._active[each.id] = asyncio.create_task(self._deliver(each))
            task.add_done_callback(partial(self._finished, each.id))
        return len(chosen)

    def _finished(self, delivery_id: int, _: "asyncio.Task[None]") -> None:
        self._active.pop(delivery_id, None)
        self.wake()

    async def _deliver(self, delivery: Delivery) -> None:
        """Sends a delivery and records what became of it."""
        await self._guarded(self._send_and_record(delivery))

    async def _send_and_record(self, delivery: Delivery) -> None:
        record = partial(self._store.deliveries.record, delivery)
        if delivery.key in self._sent:
            await asyncio.to_thread(record, state="delivered", detail="the store did not take this down at the time")
            return
        if delivery.kind == REPORT:
            error = await self._send_report(delivery)
        else:
            message = await asyncio.to_thread(self._message, delivery)
            if self._waits_for_media(delivery, message):
                due_utc = format_utc(self._clock() + MEDIA_POLL_S)
                move = partial(self._store.deliveries.postpone, self.name, due_utc=due_utc, delivery_id=delivery.id)
                await asyncio.to_thread(move)
                return
            error = await self._try(message)
        if error is None:
            _keep(self._sent, delivery.key)
            await asyncio.to_thread(record, state="delivered", tried_utc=format_utc(self._clock()))
            await self._note_works()
        else:
            await asyncio.to_thread(record, **self._after_failure(delivery, error))

    async def _send_report(self, delivery: Delivery) -> DeliveryError | None:
        """Writes a report as it is now, and sends it; returns why it could not be sent, or None."""
        if self._write_report is None or not isinstance(self._sink, TextSink):
            return DeliveryError(
                "no report can be written or taken here; a watch with the settings of reports sends it"
            )
        write = partial(self._write_report, self._store, due_report(delivery), now_s=self._clock())
        written = await asyncio.to_thread(write)
        return await self._try_within_deadline(self._sink.send_text(written.subject, written.text, key=delivery.key))

    async def _try(self, message: AlertMessage) -> DeliveryError | None:
        """Sends a message; returns why it could not be sent, or None."""
        return await self._try_within_deadline(self._sink.send(message))

    async def _try_within_deadline(self, sending: Awaitable[None]) -> DeliveryError | None:
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await sending
        except DeliveryError as error:
            return error
        except TimeoutError:
            return DeliveryError(f"no answer within {self._settings.deadline_s:g} s", is_unreachable=True)
        except Exception as error:
            log.exception("alerts: %s failed; this is a fault in Vigil, please report it", self.name)
            return DeliveryError(f"a fault in Vigil: {type(error).__name__}")
        return None

    def _after_failure(self, delivery: Delivery, error: DeliveryError) -> dict[str, Any]:
        """What is recorded of a delivery that failed: when it is due again, or that it is given up."""
        now_s, attempts = self._clock(), delivery.attempts + 1
        values = {"detail": str(error), "tried_utc": format_utc(now_s)}
        age_s = now_s - epoch_s(delivery.created_utc)
        if attempts >= LEAST_ATTEMPTS and age_s > self._settings.give_up_after_s:
            log.error("alerts: %s is given up for %s after %d attempts: %s", delivery.key, self.name, attempts, error)
            return values | {"state": "dead"}
        if error.is_unreachable and not self._is_failing:
            log.warning("alerts: %s cannot be reached: %s; trying again", self.name, error)
        elif not error.is_unreachable:
            log.warning("alerts: %s refuses %s: %s; trying again", self.name, delivery.key, error)
        self._is_failing = self._is_failing or error.is_unreachable
        wait_s = error.retry_after_s or backoff_s(delivery.attempts, is_unreachable=error.is_unreachable)
        return values | {"state": "waiting", "due_utc": format_utc(now_s + wait_s)}

    async def _note_works(self) -> None:
        if not self._is_failing:
            return
        self._is_failing = False
        log.warning("alerts: %s can be reached again", self.name)
        move = partial(self._store.deliveries.postpone, self.name, due_utc=format_utc(self._clock()))
        await asyncio.to_thread(move)

    def _message(self, delivery: Delivery) -> AlertMessage:
        try:
            camera = self._store.cameras.find(delivery.camera_id)
        except UsageError:
            camera = None
        files = self._store.media.of_event(delivery.event_id)
        media = tuple(self._local(file) for file in files if file.kind != FRAMES)
        return compose(delivery, self._alerts, camera=camera, media=media)

    def _local(self, file: MediaFile) -> MediaFile:
        """A media file with the path of a copy on this machine, if it can be had."""
        try:
            return replace(file, path=self._store.media.local(file))
        except StoreError as error:
            log.warning("alerts: %s goes without %s: %s", self.name, file.key, error)
            return file

    def _waits_for_media(self, delivery: Delivery, message: AlertMessage) -> bool:
        age_s = self._clock() - epoch_s(delivery.created_utc)
        if delivery.attempts or age_s < 0:
            return False
        if delivery.kind == "closed" and message.clip is None and age_s < self._settings.waits_for_clip_s:
            return True
        return message.snapshot is None and age_s < self._settings.media_wait_s

    def _send_direct(self, change: EventChange) -> None:
        """Sends an alarm that the store cannot take (in time), marked as not durable."""
        stored = _as_stored(change, written_utc=format_utc(self._clock()))
        delivery = self._router.decide(stored, self._memory)
        if delivery is None or delivery.state == "skipped" or delivery.key in self._planned:
            return
        self._memory.add(delivery)
        task = self._direct[delivery.key] = asyncio.create_task(self._try_directly(delivery))
        task.add_done_callback(lambda _: self._direct.pop(delivery.key, None))

    async def _try_directly(self, delivery: Delivery) -> None:
        message = compose(delivery, self._alerts, durable=False)
        attempts, began_s = 0, time.monotonic()
        while delivery.key not in self._planned:
            error = await self._try(message)
            if error is None:
                _keep(self._sent, delivery.key)
                log.warning("alerts: %s was sent to %s from memory; it is not stored", delivery.key, self.name)
                return
            if self._is_stopping or time.monotonic() - began_s > self._settings.give_up_after_s:
                log.error("alerts: %s was not sent to %s, and is not stored: %s", delivery.key, self.name, error)
                return
            await asyncio.sleep(backoff_s(attempts, is_unreachable=error.is_unreachable))
            attempts += 1

    async def _rest(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(min(longest_s, self.poll_s)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _guarded(self, work: Any) -> Any:
        """Awaits work; trouble with the store is noted, any other failure logged: the worker goes on."""
        try:
            return await work
        except StoreError as error:
            self._note_trouble(str(error))
        except Exception:
            log.exception("alerts: the worker of %s failed; this is a fault in Vigil, please report it", self.name)
        return None

    def _note_trouble(self, why: str) -> None:
        if not self._trouble:
            log.error("alerts: the store cannot be used for %s: %s; alarms go out without it", self.name, why)
        self._trouble = why

    def _note_no_trouble(self) -> None:
        if self._trouble:
            log.warning("alerts: the store can be used for %s again", self.name)
        self._trouble = ""


def consumer_of(sink: str) -> str:
    """The name of a sink's cursor in the change log."""
    return f"alerts:{sink}"


def _as_stored(change: EventChange, *, written_utc: str) -> StoredChange:
    return StoredChange(
        sequence=change.sequence or 0,
        kind="raised" if change.kind == "raised" else "opened",
        event_id=change.event.id,
        camera_id=change.event.camera_id,
        record=_encodable(event_record(change.event)),
        written_utc=written_utc,
    )


def _encodable(record: dict[str, Any]) -> dict[str, Any]:
    """A record as the store would return it: without unpaired surrogates, which no sink can send."""
    found: dict[str, Any] = json.loads(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))
    return found


def _keep(keys: dict[str, None], key: str) -> None:
    keys[key] = None
    while len(keys) > MOST_KEYS:
        del keys[next(iter(keys))]
