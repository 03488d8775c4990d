"""The pipeline of one source: a reader thread that fills its window queue, its state, its event rules and gate."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from vigil.errors import SourceError
from vigil.events import EventChange, Tier
from vigil.frames import Frame
from vigil.judge import Judge
from vigil.rules import RuleSet
from vigil.rules.build import RuleMaker
from vigil.rules.rule import Guard, log_failures
from vigil.rules.site_count import SiteTally
from vigil.sources.address import Address
from vigil.sources.live_masks import LiveMasks
from vigil.sources.open_capture import Capture, Connected, Disconnected, MasksChanged, Waiting, open_capture
from vigil.sources.preview import PreviewEncoder
from vigil.verdict import JudgedWindow, WindowAnswers
from vigil.watch.camera_health import CameraHealth
from vigil.watch.gate import WindowGate, build_gate
from vigil.watch.live_rules import LiveRules
from vigil.watch.live_views import LiveViews
from vigil.watch.observers import WatchObserver
from vigil.watch.resumed_rules import ResumedRules
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, SourceStatus
from vigil.watch.window_queue import QueuedWindow, WindowQueue
from vigil.windows import Window, Windower

log = logging.getLogger(__name__)

UNKNOWN_BETWEEN = 8
"""Recent windows kept in addition to `n`, so that the frames of an onset remain if unknown windows come between."""

TIERS = tuple(Tier)

PAUSED = "paused"
FAILED = "the watch of it failed"

OpenCapture = Callable[..., Capture]
"""Opens a source; has the signature of `vigil.sources.open_capture.open_capture`."""


class SourcePipeline:
    """Reads a capture in its own thread into the window queue, and keeps the state, event rules and recent windows.

    Of the windows that have an outcome, those that an event may begin with are kept as JPEGs, for its media.
    `under_way` holds the windows taken from the queue that have no outcome yet. `error` is why the source cannot be
    read; `failure` is an unexpected exception of the reader thread.
    """

    def __init__(
        self,
        capture: Capture,
        state: SourceState,
        *,
        queue: WindowQueue,
        windower: Windower,
        rules: RuleSet,
        live_rules: LiveRules,
        rule_maker: RuleMaker,
        gate: WindowGate,
        masks: LiveMasks,
        views: LiveViews,
        stop: threading.Event,
        observers: WatchObserver,
    ) -> None:
        self.capture = capture
        self.state = state
        self.queue = queue
        self.rules = rules
        self.live_rules = live_rules
        self.stop = stop
        self.recent_windows: deque[Window] = deque(maxlen=live_rules.windows_before_onset + UNKNOWN_BETWEEN)
        self.under_way: dict[int, Window] = {}
        self.error: SourceError | None = None
        self.failure: Exception | None = None
        self.end_reason = "the source ended"
        self.rules_lock = asyncio.Lock()
        self._rule_maker = rule_maker
        self._rules_version = live_rules.version
        self._windower = windower
        self._gate = gate
        self._masks = masks
        self._health = CameraHealth(views)
        self._observers = observers
        self._loop = asyncio.get_running_loop()
        self._open_tiers: dict[str, Tier] = {}
        self._resumed: ResumedRules | None = None

    @property
    def name(self) -> str:
        """The display name of the source."""
        return self.state.name

    @property
    def model(self) -> str:
        """The name of the model that judges it."""
        return self._rule_maker.model

    @property
    def now_s(self) -> float:
        """The current time in seconds of the source; live sources only."""
        return time.time() - (self.capture.started_utc_s or time.time())

    def start(self, *, after_s: float) -> None:
        """Starts the reader thread; it begins after `after_s`, which keeps many cameras' windows from coinciding."""
        threading.Thread(target=self._read, args=(after_s,), name=f"read {self.name}", daemon=True).start()

    @property
    def is_stopping(self) -> bool:
        """Whether reading must end: the source was paused or removed, or the watcher is stopping."""
        return self.stop.is_set()

    def stop_reading(self, because: str) -> None:
        """Ends reading; a blocked connection ends at its read timeout."""
        self.end_reason = because
        self.stop.set()
        if because == PAUSED:
            self._set_status(SourceStatus.PAUSED)

    def build_rules(self) -> RuleSet:
        """New rules of this source, as those it has when it starts."""
        return self._rule_maker.make_all(
            self.live_rules.settings, epoch_s=self.capture.started_utc_s, schedule=self.live_rules.schedule
        )

    def go_on_with(self, resumed: ResumedRules) -> None:
        """Goes on with rules that know the past; in the event loop, before the first window."""
        resumed.rules.epoch_s = self.capture.started_utc_s
        self.rules, self._resumed = resumed.rules, resumed
        for event in resumed.kept:
            self._open_tiers[event.id] = event.tier
        self._note_open()

    def take(self) -> QueuedWindow | None:
        """Takes the next window from the queue and marks it as under way; returns None if there is none."""
        entry = self.queue.take()
        if entry is not None:
            self.under_way[entry.window.index] = entry.window
        return entry

    def judged(self, window: Window, answers: WindowAnswers) -> JudgedWindow:
        """A window of this source with its verdict and answers."""
        return JudgedWindow(
            source=self.name,
            camera_id=self.state.camera_id,
            window=window.index,
            verdict=replace(answers.verdict, start_s=window.start_s, end_s=window.end_s),
            captured_s=window.captured_s,
            rest=window.rest,
            answers=answers.answers,
        )

    def count_result(self, window: Window, judged: JudgedWindow) -> None:
        """Counts the outcome of a window; called in window order."""
        self.recent_windows.append(window)
        self.state.count(judged)
        self.under_way.pop(window.index, None)

    def abandon(self) -> list[Window]:
        """Stops the source after a failure; returns the windows that have no outcome yet."""
        self.stop_reading(FAILED)
        self.queue.close()
        while self.take() is not None:
            pass
        return list(self.under_way.values())

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window's verdict under the rules that hold now."""
        return [*self._take_over_rules(), *self.rules.push(judged)]

    def observe(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes a window's observation under the rules that hold now."""
        return [*self._take_over_rules(), *self.rules.observe(judged)]

    def tick(self, now_s: float) -> list[EventChange]:
        """Closes what is due at `now_s` under the rules that hold now."""
        return [*self._take_over_rules(), *self.rules.tick(now_s)]

    def _take_over_rules(self) -> list[EventChange]:
        """Goes on under the rules that were set meanwhile; an event whose rule is gone is closed."""
        live = self.live_rules
        if self._rules_version == live.version:
            return []
        self._rules_version = live.version
        self.recent_windows = deque(self.recent_windows, maxlen=live.windows_before_onset + UNKNOWN_BETWEEN)
        return self._rule_maker.change(self.rules, live.settings, schedule=live.schedule)

    def placed(self, changes: Sequence[EventChange]) -> list[EventChange]:
        """The changes as they are told, each with the place where the camera is now."""
        told = changes if self._resumed is None else self._resumed.told(changes)
        return [replace(change, event=replace(change.event, place=self.state.place)) for change in told]

    def count_change(self, change: EventChange) -> None:
        """Counts opened events and records the highest tier of those that are open."""
        self.state.events += change.kind == "opened"
        if change.event.is_open:
            self._open_tiers[change.event.id] = change.event.tier
        else:
            self._open_tiers.pop(change.event.id, None)
        self._note_open()

    def _note_open(self) -> None:
        self.state.open_event = max(self._open_tiers.values(), key=TIERS.index, default="")

    def _read(self, after_s: float) -> None:
        try:
            if not self.stop.wait(after_s):
                self._read_capture()
        except Exception as error:
            log.exception("%s: the reader failed; this is a fault in Vigil, please report it", self.name)
            self.failure = error
            self.end_reason = self.end_reason if self.is_stopping else FAILED
        finally:
            self.queue.end()

    def _read_capture(self) -> None:
        try:
            self._read_frames()
        except SourceError as error:
            self._fail(error)

    def _read_frames(self) -> None:
        self._set_status(SourceStatus.CONNECTING if self.capture.is_live else SourceStatus.WATCHING)
        for item in self.capture.read():
            if self.queue.is_closed:
                return
            self.rules.epoch_s = self.capture.started_utc_s
            if isinstance(item, Frame):
                self.state.count_frame(item.time_s)
                self._observers.on_frame(self.name, item)
                self._enqueue(self._windower.push(item))
            elif isinstance(item, Disconnected):
                self._enqueue(self._windower.finish())
                self._set_status(SourceStatus.LOST, f"{item.reason}; next try in {item.retry_s:.1f} s")
            elif isinstance(item, MasksChanged):
                self._enqueue(self._windower.finish())
            elif isinstance(item, Waiting):
                self._set_status(SourceStatus.CONNECTING, item.reason)
            else:
                self._connected(item)
        self._enqueue(self._windower.finish())
        self.state.problems = tuple(self.capture.problems)
        self._set_status(SourceStatus.ENDED)

    def _connected(self, item: Connected) -> None:
        self.state.size_wh = item.size_wh
        self.state.connections += 1
        self._set_status(SourceStatus.WATCHING)

    def _enqueue(self, windows: Iterable[Window]) -> None:
        for window in windows:
            # The health of the camera and the gate are the last that need raw frames; the queue holds only JPEGs.
            health = self._health.examine(window, self._masks.current, faults=self.live_rules.faults)
            skipped = self._gate.skips(window)
            self.queue.put(QueuedWindow(window.without_pictures(), is_skipped=skipped, health=health))

    def _fail(self, error: SourceError) -> None:
        self._enqueue(self._windower.finish())
        self.error = error
        self._set_status(SourceStatus.UNREADABLE, str(error))

    def _set_status(self, stage: SourceStatus, detail: str = "") -> None:
        paused = self.end_reason == PAUSED
        self.state.stage = SourceStatus.PAUSED if paused else stage
        self.state.detail = "" if paused else detail
        # A reader thread that hung may return after the event loop has closed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._observers.on_state, self.state)


def build_pipeline(
    address: Address,
    state: SourceState,
    *,
    judge: Judge,
    settings: WatchSettings,
    previous: SourcePipeline | None,
    observers: WatchObserver,
    masks: LiveMasks,
    views: LiveViews,
    live_rules: LiveRules,
    opener: OpenCapture = open_capture,
    guard_rule: Guard = log_failures,
    tallies: Mapping[str, SiteTally] | None = None,
) -> SourcePipeline:
    """Builds the pipeline of a source; a live source that was paused keeps the capture, and clock, of `previous`.

    `masks` are painted over in all its pictures; `views` are those it usually has; `live_rules` are the rules that hold
    for it; `guard_rule` handles the exceptions of a rule; `tallies` are those of the rules over its site.
    """
    stop = threading.Event()
    if previous is not None and address.is_live:
        capture, stop = previous.capture, previous.stop
        stop.clear()
    else:
        capture = opener(
            address,
            judge.sampling,
            stop=stop,
            realtime=settings.realtime,
            fast=settings.fast,
            settings=settings.capture,
            footage_s=settings.clips.memory_s,
            previewer=_previewer(address.name, settings, observers),
            masks=masks,
        )
    maker = RuleMaker(
        source=address.name,
        task=judge.question.name,
        model=judge.model,
        camera_id=state.camera_id,
        guard=guard_rule,
        tallies=tallies or {},
    )
    return SourcePipeline(
        capture,
        state,
        queue=WindowQueue(
            size=settings.queue_windows if state.live else settings.in_flight, live=state.live, on_cut=state.count_cut
        ),
        windower=Windower(judge.sampling),
        rules=maker.make_all(live_rules.settings, epoch_s=capture.started_utc_s, schedule=live_rules.schedule),
        live_rules=live_rules,
        rule_maker=maker,
        gate=build_gate(motion_threshold=settings.motion_threshold, person_threshold=settings.person_threshold),
        masks=masks,
        views=views,
        stop=stop,
        observers=observers,
    )


def _previewer(source: str, settings: WatchSettings, observers: WatchObserver) -> PreviewEncoder | None:
    if not settings.preview_fps:
        return None
    return PreviewEncoder(
        fps=settings.preview_fps,
        longest_px=settings.preview_px,
        is_wanted=lambda: observers.wants_preview(source),
        show=lambda jpeg, time_s: observers.on_preview(source, jpeg, time_s),
    )
