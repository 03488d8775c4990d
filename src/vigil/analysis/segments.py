"""The legs of an analysis: each is one watch, in one mode; a switch of the mode ends one and begins the next.

What an analysis has found so far: one list of windows and the events they make, whichever way they were judged.

When the mode is switched, or a file goes on from an earlier second, what is judged anew is forgotten here, and the
events are made afresh of what is left by the same tracker that a watch uses.

The newest pictures of a live source, kept so that a moment of it can still be asked about.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vigil.chat.attachment import KeptPicture
from vigil.errors import SourceError
from vigil.events import Event, EventChange
from vigil.frames import Frame, FrameSampling, encode_jpeg
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.sources.address import Address
from vigil.sources.video_info import video_info
from vigil.verdict import Cause, JudgedWindow, Outcome
from vigil.watch import SourceState, Watcher, WatchObserver, WatchSettings
from vigil.watch.pipeline import OpenCapture
from vigil.watch.settings import ClipSettings
from vigil.watch.state import SourceStatus

MOST_WINDOWS = 10_000
"""Five and a half hours of a camera; older windows are let go of."""


SAME_S = 1e-3


class AnalysisResults:
    """Windows in the order of time, numbered anew, with their events; for one thread."""

    def __init__(self, rules: HysteresisSettings, *, source: str, task: str = "", model: str = "") -> None:
        self.judged: list[JudgedWindow] = []
        self.events: dict[str, Event] = {}
        self.forgotten = 0
        self._rules = rules
        self._source, self._task, self._model = source, task, model
        self._tracker = self._new_tracker()
        self._next = 0

    def add(self, judged: JudgedWindow) -> int:
        """Adds a window that follows all others; returns its number here."""
        numbered = replace(judged, window=self._next)
        self._next += 1
        self.judged.append(numbered)
        if len(self.judged) > MOST_WINDOWS:
            del self.judged[0]
            self.forgotten += 1
        self._take(self._tracker.push(numbered))
        return numbered.window

    def describe(self, number: int, text: str) -> None:
        """Adds the words of a window."""
        for index in range(len(self.judged) - 1, -1, -1):
            known = self.judged[index]
            if known.window == number:
                self.judged[index] = replace(known, verdict=replace(known.verdict, text=text))
                self._take(self._tracker.describe(number, text))
                return

    def forget_from(self, start_s: float) -> None:
        """Forgets the windows that begin at this second or later, and what events they made."""
        self.judged = [judged for judged in self.judged if judged.start_s < start_s - SAME_S]
        self.events = {}
        self._tracker = self._new_tracker()
        for judged in self.judged:
            # An announcement of long ago is not dated by the clock of today.
            self._take(self._tracker.push(replace(judged, captured_s=None)))
            if judged.verdict.text:
                self._take(self._tracker.describe(judged.window, judged.verdict.text))

    def first_gap_s(self) -> float | None:
        """Where the first window begins that was dropped or given up; None when there is none."""
        left_out = {Cause.DROPPED, Cause.CANCELLED}
        return next((judged.start_s for judged in self.judged if judged.verdict.cause in left_out), None)

    def finish(self, because: str) -> None:
        """Closes the event that is open."""
        self._take(self._tracker.finish(because))

    def _take(self, changes: Iterable[EventChange]) -> None:
        self.events.update((change.event.id, change.event) for change in changes)

    def _new_tracker(self) -> HysteresisRule:
        return HysteresisRule(self._rules, source=self._source, task=self._task, model=self._model)


MOST_PICTURES = 300
"""Two and a half minutes at the contract's two pictures a second."""


class RecentPictures:
    """Pictures as they were judged, newest last; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[KeptPicture] = deque(maxlen=MOST_PICTURES)

    def add(self, frame: Frame, *, time_s: float, quality: int) -> None:
        """Keeps a picture that was seen at second `time_s` of the analysis."""
        height, width = frame.image.shape[:2]
        jpeg = encode_jpeg(frame.image, quality=quality)
        with self._lock:
            self._kept.append(KeptPicture(time_s=time_s, jpeg=jpeg, size_wh=(width, height)))

    def between(self, start_s: float, end_s: float) -> list[KeptPicture]:
        """What is kept of these seconds, both included."""
        with self._lock:
            return [one for one in self._kept if start_s - 0.01 <= one.time_s <= end_s + 0.01]


FILE_IN_FLIGHT = 8
"""Windows of one visitor's file that are asked about at once: enough to keep the server busy, and others served."""

PATIENT_WINDOWS = 600
"""Windows of a camera that may wait when every one is to be judged: twenty minutes."""

PREVIEW_FPS = 5.0
"""Pictures a second of a camera for the person who looks at it; a file is played by its own player."""


EPSILON_S = 1e-3


@dataclass(frozen=True, slots=True)
class Segment:
    """How to go on: live or window by window, and from which second of a file."""

    live: bool
    from_s: float = 0.0

    def on_the_grid(self, address: Address, sampling: FrameSampling) -> "Segment":
        """One that begins no later than the last whole window of its file, as a shorter one would be off the grid."""
        length_s = None if address.kind != "file" else _length_s(address)
        if length_s is None:
            return self
        whole_s = (sampling.frames - 1) / sampling.fps
        return replace(self, from_s=max(0.0, min(self.from_s, length_s - whole_s - EPSILON_S)))

    def settings(self, address: Address, settings: WatchSettings, *, words: bool) -> WatchSettings:
        """The settings of the leg's watch: nothing is kept, and a visitor asks no more than is theirs."""
        waiting = settings.queue_windows if self.live else PATIENT_WINDOWS
        return replace(
            settings,
            realtime=self.live and not address.is_live,
            in_flight=min(settings.in_flight, FILE_IN_FLIGHT),
            queue_windows=waiting,
            words=settings.words if words else "never",
            clips=ClipSettings(most_s=0.0),
            store="",
            motion_gate=0.0,
            preview_fps=PREVIEW_FPS if address.is_live else 0.0,
        )

    def opener(self, address: Address, opener: OpenCapture) -> OpenCapture:
        """Opens a file where the leg begins."""
        return opener if address.is_live or not self.from_s else partial(opener, start_s=self.from_s)


def _length_s(address: Address) -> float | None:
    """How long a file is, where its header tells it."""
    with suppress(SourceError):
        return video_info(Path(address.location)).duration_s
    return None


class SegmentObserver(WatchObserver):
    """Follows a leg's watch and keeps what it says, until the next leg begins; may be read under `lock`."""

    def __init__(
        self,
        findings: AnalysisResults,
        lock: threading.Lock,
        *,
        shift_s: float,
        words: bool,
        recent: RecentPictures | None = None,
        quality: int = 90,
    ) -> None:
        self.stage = SourceStatus.WAITING
        self.detail = ""
        self.problems: tuple[str, ...] = ()
        self.position_s = 0.0
        self.epoch_s: float | None = None
        self.lag_s: float | None = None
        self.picture: bytes | None = None
        self.wordless: dict[int, int] = {}
        self._has_previews = False
        self._findings = findings
        self._lock = lock
        self._shift_s = shift_s
        self._words = words
        self._recent, self._quality = recent, quality
        self._over = False

    def end(self) -> None:
        """Listens no more: what still comes belongs to nobody."""
        with self._lock:
            self._over = True

    def on_frame(self, source: str, frame: Frame) -> None:
        wanted = frame.captured_s is not None and not self._has_previews
        picture = encode_jpeg(frame.image, quality=85) if wanted else self.picture
        if self._recent is not None and not self._over:
            self._recent.add(frame, time_s=frame.time_s + self._shift_s, quality=self._quality)
        with self._lock:
            self.position_s = frame.time_s + self._shift_s
            self.picture = picture
            if frame.captured_s is not None:
                self.epoch_s = frame.captured_s - self.position_s

    def wants_preview(self, source: str) -> bool:
        return not self._over

    def on_preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        with self._lock:
            self.picture, self._has_previews = jpeg, True

    def on_state(self, state: SourceState) -> None:
        with self._lock:
            self.stage, self.detail, self.problems = state.stage, state.detail, state.problems

    def on_verdict(self, judged: JudgedWindow) -> None:
        self._unless_over(lambda: self._add(judged))

    def on_result(self, judged: JudgedWindow) -> None:
        self._unless_over(lambda: self._describe(judged))

    def _unless_over(self, note: Callable[[], None]) -> None:
        with self._lock:
            if not self._over:
                note()

    def _add(self, judged: JudgedWindow) -> None:
        shift_s, verdict = self._shift_s, judged.verdict
        moved = replace(verdict, start_s=verdict.start_s + shift_s, end_s=verdict.end_s + shift_s)
        number = self._findings.add(replace(judged, verdict=moved))
        if self._words and verdict.outcome is Outcome.ALARM:
            self.wordless[judged.window] = number
        if judged.captured_s is not None and verdict.cause is None:
            self.lag_s = time.time() - judged.captured_s

    def _describe(self, judged: JudgedWindow) -> None:
        number = self.wordless.pop(judged.window, None)
        if number is not None and judged.verdict.text:
            self._findings.describe(number, judged.verdict.text)


class RunningSegment:
    """A watch that is under way, with who follows it."""

    def __init__(self, watch: Watcher, notes: SegmentObserver) -> None:
        self.watch = watch
        self.notes = notes

    def abandon(self) -> None:
        """Ends it at once, with the requests that are under way; in the watch's loop."""
        self.watch.stop()
        self.watch.stop()
