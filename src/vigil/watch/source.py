"""One source under watch: the thread that reads and cuts it, and what the loop remembers of it."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from vigil.errors import SourceError
from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.events.tracker import Tracker
from vigil.frames import Frame
from vigil.judge import Judge
from vigil.sources.address import Address
from vigil.sources.feed import Connected, Disconnected, Feed, Waiting, open_feed
from vigil.sources.preview import Previewer
from vigil.watch.gate import MotionGate
from vigil.watch.lane import Entry, Lane
from vigil.watch.observer import Observer
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, Stage
from vigil.windows import Cutter, Window

log = logging.getLogger(__name__)

UNKNOWN_BETWEEN = 8
"""Windows held besides those that may open an event: the frames of an onset are kept even with unknowns in between."""

PAUSED = "paused"
FAILED = "the watch of it failed"

Opener = Callable[..., Feed]
"""How a source is opened: called as `vigil.sources.feed.open_feed` is."""


class WatchedSource:
    """Reads a feed in a thread of its own into the lane, and keeps its state, its events and its last windows.

    `under_way` are the windows that were taken from the lane and have no outcome yet. `error` says why the source
    cannot be read, `failure` is what its reader failed of unexpectedly.
    """

    def __init__(
        self,
        feed: Feed,
        state: SourceState,
        *,
        lane: Lane,
        cutter: Cutter,
        tracker: Tracker,
        gate: MotionGate,
        stop: threading.Event,
        audience: Observer,
    ) -> None:
        self.feed = feed
        self.state = state
        self.lane = lane
        self.tracker = tracker
        self.stop = stop
        self.recent: deque[Window] = deque(maxlen=tracker.rules.n + UNKNOWN_BETWEEN)
        self.under_way: dict[int, Window] = {}
        self.error: SourceError | None = None
        self.failure: Exception | None = None
        self.ends_because = "the source ended"
        self.changing = asyncio.Lock()
        self._cutter = cutter
        self._gate = gate
        self._audience = audience
        self._loop = asyncio.get_running_loop()

    @property
    def name(self) -> str:
        """The source's shown name."""
        return self.state.name

    @property
    def now_s(self) -> float:
        """On live sources: the present second of the source."""
        return time.time() - (self.feed.epoch_s or time.time())

    def start(self, *, after_s: float) -> None:
        """Begins to read, `after_s` from now, so that many cameras do not ask in the same moment for ever after."""
        threading.Thread(target=self._read, args=(after_s,), name=f"read {self.name}", daemon=True).start()

    @property
    def is_left(self) -> bool:
        """Whether somebody wants no more of it: it was paused or removed, or the watch is being stopped."""
        return self.stop.is_set()

    def leave(self, because: str) -> None:
        """Ends the reading, within the time that a silent connection is waited for."""
        self.ends_because = because
        self.stop.set()
        if because == PAUSED:
            self._now(Stage.PAUSED)

    def take(self) -> Entry | None:
        """The next entry of the lane, which is under way from now on; None when there is none."""
        entry = self.lane.take()
        if entry is not None:
            self.under_way[entry.window.index] = entry.window
        return entry

    def settle(self, window: Window, judged: Judged) -> None:
        """Counts what became of a window, the next one in order."""
        self.recent.append(window)
        self.state.count(judged)
        self.under_way.pop(window.index, None)

    def abandon(self) -> list[Window]:
        """Ends it where it is; returns the windows that were cut and will have no outcome of their own."""
        self.leave(FAILED)
        self.lane.close()
        while self.take() is not None:
            pass
        return list(self.under_way.values())

    def note(self, change: Change) -> None:
        """Remembers which event is open."""
        self.state.events += change.kind == "opened"
        if change.kind == "closed":
            self.state.open_event = ""
        elif change.event.is_open:
            self.state.open_event = change.event.tier

    def _read(self, after_s: float) -> None:
        try:
            if not self.stop.wait(after_s):
                self._try_to_follow()
        except Exception as error:
            log.exception("%s: the reader failed; this is a fault in Vigil, please report it", self.name)
            self.failure = error
            self.ends_because = self.ends_because if self.is_left else FAILED
        finally:
            self.lane.end()

    def _try_to_follow(self) -> None:
        try:
            self._follow()
        except SourceError as error:
            self._fail(error)

    def _follow(self) -> None:
        self._now(Stage.CONNECTING if self.feed.is_live else Stage.WATCHING)
        for signal in self.feed.signals():
            if self.lane.is_closed:
                return
            self.tracker.epoch_s = self.feed.epoch_s
            if isinstance(signal, Frame):
                self.state.saw(signal.time_s)
                self._audience.seen(self.name, signal)
                self._pass_on(self._cutter.push(signal))
            elif isinstance(signal, Disconnected):
                self._pass_on(self._cutter.finish())
                self._now(Stage.LOST, f"{signal.reason}; next try in {signal.retry_s:.1f} s")
            elif isinstance(signal, Waiting):
                self._now(Stage.CONNECTING, signal.reason)
            else:
                self._connected(signal)
        self._pass_on(self._cutter.finish())
        self.state.problems = tuple(self.feed.problems)
        self._now(Stage.ENDED)

    def _connected(self, signal: Connected) -> None:
        self.state.size_wh = signal.size_wh
        self.state.connections += 1
        self._now(Stage.WATCHING)

    def _pass_on(self, windows: Iterable[Window]) -> None:
        for window in windows:
            # The gate is the last that looks at raw pictures.
            self.lane.put(window.without_pictures(), still=self._gate.is_still(window))

    def _fail(self, error: SourceError) -> None:
        self._pass_on(self._cutter.finish())
        self.error = error
        self._now(Stage.UNREADABLE, str(error))

    def _now(self, stage: Stage, detail: str = "") -> None:
        paused = self.ends_because == PAUSED
        self.state.stage = Stage.PAUSED if paused else stage
        self.state.detail = "" if paused else detail
        # A reader that hangs may come back when the watch, and its loop, are over.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._audience.state, self.state)


def watched_source(
    address: Address,
    state: SourceState,
    *,
    judge: Judge,
    settings: WatchSettings,
    earlier: WatchedSource | None,
    audience: Observer,
    opener: Opener = open_feed,
) -> WatchedSource:
    """A source with all it needs to be watched; a camera that was paused keeps the clock of its `earlier` time."""
    stop = threading.Event()
    if earlier is not None and address.is_live:
        feed, stop = earlier.feed, earlier.stop
        stop.clear()
    else:
        feed = opener(
            address,
            judge.sampling,
            stop=stop,
            realtime=settings.realtime,
            fast=settings.fast,
            settings=settings.feed,
            footage_s=settings.clips.memory_s,
            previewer=_previewer(address.name, settings, audience),
        )
    tracker = Tracker(
        settings.events,
        source=address.name,
        task=judge.task.name,
        model=judge.model,
        epoch_s=feed.epoch_s,
        camera_id=state.camera_id,
    )
    return WatchedSource(
        feed,
        state,
        lane=Lane(
            size=settings.queue_windows if state.live else settings.in_flight, live=state.live, on_cut=state.count_cut
        ),
        cutter=Cutter(judge.sampling),
        tracker=tracker,
        gate=MotionGate(settings.motion_gate),
        stop=stop,
        audience=audience,
    )


def _previewer(source: str, settings: WatchSettings, audience: Observer) -> Previewer | None:
    if not settings.preview_fps:
        return None
    return Previewer(
        fps=settings.preview_fps,
        longest_px=settings.preview_px,
        is_wanted=lambda: audience.looks_at(source),
        show=lambda jpeg, time_s: audience.preview(source, jpeg, time_s),
    )
