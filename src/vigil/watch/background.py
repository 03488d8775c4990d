"""A watcher in a background thread of another program, such as a web server, controlled from that program's threads.

    watcher = BackgroundWatcher(settings, api_key=read_key(url=settings.url))
    watcher.start()                     # returns at once
    watcher.add("rtsp://10.0.0.7/1")    # saved for the next start
    print(watcher.problem or watcher.states())
    watcher.stop()

The thread runs one `vigil.watch.watcher.Watcher` in its own event loop, and starts another when that one fails. While
the endpoint is down, `problem` says so and connecting is retried. `add`, `remove`, `pause` and `resume` change the
`CameraList`; the event loop then changes the watcher's sources to match the list.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path

from vigil.errors import UsageError, VigilError
from vigil.judge import Judge
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.masks import Mask
from vigil.rules import CameraRules, RuleSettings, with_names
from vigil.sources.address import Address
from vigil.verdict import Cause
from vigil.watch.alert_observer import LastingAlerts
from vigil.watch.cameras import CameraList, names_in, renamed_in, room_file
from vigil.watch.observers import HistoryPoint, PersistentObserverGroup, PreviewCache, VerdictHistory, WatchObserver
from vigil.watch.run import ASK_AGAIN_S, run_watch
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, SourceStatus
from vigil.watch.watcher import Watcher

log = logging.getLogger(__name__)

STARTING = "the watch is starting"
STOPPED = "the watch is stopped"
EXCHANGED = "the server came back with another model or contract; the watch begins anew under it"

ENDS_WITHIN_S = 45.0
TAKES_EFFECT_WITHIN_S = 5.0


class BackgroundWatcher:
    """One watcher in its own thread; every method may be called from any thread.

    Added and removed cameras are saved in `room`, by default `room.yaml` beside the store; without a store nothing is
    saved.
    """

    def __init__(
        self,
        settings: WatchSettings,
        *,
        api_key: str = "",
        observers: Sequence[WatchObserver] = (),
        room: Path | None = None,
    ) -> None:
        self.settings = settings
        self.problem = STOPPED
        self._task = ""
        self._api_key = api_key
        self._history = VerdictHistory()
        self._previews = PreviewCache()
        self._alerts = LastingAlerts(settings)
        # Alerts are told first, as an alarm is more urgent than a line on a screen.
        self._observers = PersistentObserverGroup([self._alerts, self._history, self._previews, *observers])
        self._camera_list = CameraList(
            settings.sources,
            file=room or room_file(settings.store, settings.store_folder),
            most_cameras=settings.most_cameras,
            known=partial(names_in, settings.store, settings.store_folder),
            renamed=partial(renamed_in, settings.store, settings.store_folder),
        )
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: Watcher | None = None
        self._ending = threading.Event()
        self._stopped: asyncio.Event | None = None

    @property
    def watch(self) -> Watcher | None:
        """The running watcher, or None; read-only for other threads."""
        return self._watch

    @property
    def judge(self) -> Judge | None:
        """The judge of the running watcher, or None."""
        watch = self._watch
        return None if watch is None else watch.judge

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker of the running watcher, or None."""
        watch = self._watch
        return None if watch is None else watch.breaker

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sources in the list that cannot be found, one sentence each."""
        return self._camera_list.warnings

    def start(self) -> None:
        """Starts the thread and returns at once; does nothing if it is running."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._ending.clear()
            self.problem = STARTING
            self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops the watcher in order and waits for it: windows are finished, events closed, clips written."""
        with self._lock:
            thread = self._thread
            self._ending.set()
            if thread is None or not thread.is_alive():
                return
            self._call_in_loop(self._end)
        if thread is threading.current_thread():
            return
        thread.join(ENDS_WITHIN_S)
        if thread.is_alive():
            log.error("the watch did not end within %.0f s", ENDS_WITHIN_S)

    def add(self, source: str, *, name: str = "", confined: bool = False) -> list[str]:
        """Watches the sources that `source` names (an address, a webcam number, a file, a camera.txt).

        Returns their names. A `confined` stream must stay on its host and port (`vigil.sources.address.Address`).
        Raises UsageError and SourceError if it is not a source, is watched already or exceeds `most_cameras` of the
        settings.
        """
        try:
            return self._camera_list.add(source, name=name, confined=confined)
        finally:
            self._apply()

    def remove(self, name: str) -> None:
        """Stops watching a camera; raises UsageError if there is none of this name."""
        camera_id = self._camera_id(name)
        try:
            self._camera_list.remove(name)
        finally:
            self._apply()
            self._forget(name, camera_id)

    def _forget(self, name: str, camera_id: str) -> None:
        self._history.forget(camera_id)
        self._previews.forget(name)

    @property
    def addresses(self) -> list[Address]:
        """The cameras of the list; empty if it cannot be loaded (`problem` says why). They may hold passwords."""
        try:
            return self._camera_list.addresses
        except VigilError:
            return []

    @property
    def paused(self) -> frozenset[str]:
        """The names of the cameras that are to be paused; one that is resumed may take a moment to connect."""
        return self._camera_list.paused

    def rename(self, name: str, new_name: str) -> None:
        """Gives a camera another name; a live one is connected anew under it. Raises UsageError if that is taken."""
        camera_id = self._camera_id(name)
        try:
            self._camera_list.rename(name, new_name)
        finally:
            self._apply()
            self._forget(name, camera_id)

    def pause(self, name: str) -> None:
        """Disconnects a camera until `resume`; raises UsageError if it cannot be paused."""
        address = self._camera_list.check(name)
        if not self._is_live(address):
            raise UsageError(f"{name} is a file and cannot be paused; only live sources can")
        if self._state(address).stage in (SourceStatus.ENDED, SourceStatus.UNREADABLE):
            raise UsageError(f"{name} has ended; remove it and add it again to watch it again")
        try:
            self._camera_list.pause(name)
        finally:
            self._apply()

    def resume(self, name: str) -> None:
        """Reconnects a paused camera; raises UsageError if there is none of this name."""
        try:
            self._camera_list.resume(name)
        finally:
            self._apply()

    def set_place(self, name: str, place: str) -> None:
        """Changes where a running camera is said to be; the caller keeps it in the store."""
        self._camera_list.check(name)

        def change() -> None:
            state = None if self._watch is None else self._watch.states.get(name)
            if state is not None:
                state.place = place

        self._in_loop(change)

    def set_masks(self, name: str, masks: Sequence[Mask]) -> None:
        """Changes the masks of a running camera from its next frame on; the caller keeps them in the store."""
        self._camera_list.check(name)

        def change() -> None:
            with suppress(UsageError):
                if self._watch is not None:
                    self._watch.masks_of(name).change_to(masks)

        self._in_loop(change)

    @property
    def rules(self) -> tuple[RuleSettings, ...]:
        """The rules of the watch; one without a name gets the task's as soon as the model has told which that is."""
        watch = self._watch
        return with_names(self.settings.rules, task=self._task) if watch is None else watch.settings.rules

    def set_rules(self, name: str, chosen: CameraRules) -> None:
        """Changes the rules of a running camera from its next window on; the caller keeps them in the store."""
        self._camera_list.check(name)

        def change() -> None:
            with suppress(UsageError):
                if self._watch is not None:
                    self._watch.rules_of(name).change_to(chosen)

        self._in_loop(change)

    def states(self) -> list[SourceState]:
        """Copies of the current state of every camera; before the watcher runs they are waiting."""
        return [self._state(address) for address in self.addresses]

    def history(self, name: str, seconds: float) -> list[HistoryPoint]:
        """`(end_s, p_alarm, cause)` of a camera's windows judged in the last `seconds`, oldest first."""
        return self._history.of(self._camera_id(name), seconds)

    def preview(self, name: str) -> tuple[bytes, float] | None:
        """The newest preview of a camera (JPEG) and its second of the source; None until one arrives after a call.

        Previews are made (`preview_fps` of the settings) as long as this is called every few seconds.
        """
        return self._previews.of(name)

    def subscribe(self, observer: WatchObserver) -> None:
        """Adds an observer; it is called in the watcher's threads and must return quickly."""
        self._observers.add(observer)

    def unsubscribe(self, observer: WatchObserver) -> None:
        """Removes an observer."""
        self._observers.remove(observer)

    async def _serve(self) -> None:
        """Runs one watcher after another until `stop` is called."""
        self._stopped = asyncio.Event()
        with self._lock:
            self._loop = asyncio.get_running_loop()
            if self._ending.is_set():
                self._stopped.set()
        try:
            while not self._stopped.is_set():
                await self._run_until_stopped(self._run_once())
                await self._run_until_stopped(asyncio.sleep(ASK_AGAIN_S))
        finally:
            with self._lock:
                self._loop = None
                self.problem = STOPPED
            self._observers.dismiss()
            self._alerts.end()

    async def _run_until_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Awaits work, and cancels it on `stop` unless a watcher is running, as that ends by itself."""
        assert self._stopped is not None
        doing, over = asyncio.create_task(work), asyncio.create_task(self._stopped.wait())
        await asyncio.wait({doing, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if self._watch is None:
            doing.cancel()
        with suppress(asyncio.CancelledError):
            await doing

    async def _run_once(self) -> None:
        """Runs one watcher from its connection to its end."""
        exchange_check = asyncio.create_task(self._stop_when_exchanged())
        try:
            self._alerts.begin()
            await run_watch(
                self.settings,
                addresses=self._camera_list.addresses,
                api_key=self._api_key,
                observers=[self._observers],
                on_start=self._on_started,
                keep_running=True,
                with_alerts=False,
            )
        except VigilError as error:
            self._failed(str(error))
        except Exception:
            log.exception("the watch failed; this is a fault in Vigil, please report it")
            self._failed("the watch failed and is started again; the log says why")
        finally:
            exchange_check.cancel()
            self._watch = None

    async def _stop_when_exchanged(self) -> None:
        """Stops the watcher if the server's contract has changed, unless one is set locally; the next one adopts it."""
        while self.settings.model_dir is None:
            await asyncio.sleep(ASK_AGAIN_S)
            watch = self._watch
            if watch is None or watch.is_stopping:
                continue
            if watch.breaker.state == "closed" or watch.breaker.cause is not Cause.EXCHANGED:
                continue
            log.warning("the watch begins anew: %s", watch.breaker.reason)
            self.problem = EXCHANGED
            watch.stop()
            return

    def _on_started(self, watch: Watcher) -> None:
        self._watch, self._task = watch, watch.judge.question.name
        self.problem = ""
        log.info("watching with %s", watch.judge.model)
        self._reconcile()
        if self._ending.is_set():
            self._end()

    def _failed(self, why: str) -> None:
        if why != self.problem:
            log.warning("not watching: %s; trying again", why)
        self.problem = why

    def _end(self) -> None:
        """Ends what runs, in the event loop; called again, for a watcher that began meanwhile, it ends that."""
        assert self._stopped is not None
        self._stopped.set()
        # Stopped a second time, a watcher would not finish its windows.
        if self._watch is not None and not self._watch.is_stopping:
            self._watch.stop()

    def _reconcile(self) -> None:
        """Adds, removes, pauses and resumes sources until the watcher matches the camera list."""
        watch, paused = self._watch, self._camera_list.paused
        if watch is None or self._ending.is_set():
            return
        wanted = {address.name: address for address in self._camera_list.addresses}
        for name, address in watch.addresses.items():
            if wanted.get(name) != address:
                camera_id = self._camera_id(name)
                watch.remove(name)
                # Another camera may get its name.
                self._forget(name, camera_id)
        for name, address in wanted.items():
            if name not in watch.addresses:
                watch.add(address)
            with suppress(UsageError):
                # The source may have ended in the meantime.
                (watch.pause if name in paused else watch.resume)(name)

    def _apply(self) -> None:
        """Makes the running watcher match the camera list."""
        self._in_loop(self._reconcile)

    def _in_loop(self, act: Callable[[], None]) -> None:
        """Runs `act` in the event loop and waits for it, within limits; without a loop it does nothing."""
        done: Future[None] = Future()

        def bring() -> None:
            try:
                act()
            finally:
                done.set_result(None)

        with self._lock:
            reached = self._call_in_loop(bring)
        if reached and threading.current_thread() is not self._thread:
            with suppress(TimeoutError):
                done.result(TAKES_EFFECT_WITHIN_S)

    def _call_in_loop(self, act: Callable[[], None]) -> bool:
        """Schedules a call in the event loop; returns False if there is no loop."""
        if self._loop is None:
            return False
        self._loop.call_soon_threadsafe(act)
        return True

    def _camera_id(self, name: str) -> str:
        """The id of a watched camera, or its name if it has none yet."""
        watch = self._watch
        state = None if watch is None else watch.states.get(name)
        return name if state is None else state.camera_id or name

    def _is_live(self, address: Address) -> bool:
        return address.is_live or self.settings.realtime

    def _state(self, address: Address) -> SourceState:
        watch = self._watch
        state = None if watch is None else watch.states.get(address.name)
        if state is not None:
            return state.copy()
        stage = SourceStatus.PAUSED if address.name in self._camera_list.paused else SourceStatus.WAITING
        return SourceState(name=address.name, live=self._is_live(address), stage=stage, detail=self.problem)
