"""The timeline of a source, and the strip under an annotated video that shows it.

`SourceTimeline` holds the verdicts and events of a source by time. The strip shows the probability of alarm, the
thresholds, the events and what is unknown. It is drawn once per page of time; only the line of the current second
moves.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vigil.events import Event, TierThresholds
from vigil.frames import RGB
from vigil.report import drawing
from vigil.report.drawing import Color, choose_typeface, latin_typeface
from vigil.verdict import JudgedWindow

JOIN_S = 1.0
"""A window extends to the start of the next one if that follows within this time."""


@dataclass(frozen=True, slots=True)
class TimelineSpan:
    """A window and the seconds it covers, from its first frame to the next window's start or its own last frame."""

    judged: JudgedWindow
    start_s: float
    end_s: float


class SourceTimeline:
    """Verdicts and events of one source; both may be added during the watch."""

    def __init__(self, judged: Iterable[JudgedWindow] = (), events: Iterable[Event] = ()) -> None:
        self.version = 0
        self._judged: list[JudgedWindow] = []
        self._starts: list[float] = []
        self._longest_s = 0.0
        self._events: dict[str, Event] = {}
        for one in judged:
            self.add(one)
        for event in events:
            self.note(event)

    def add(self, judged: JudgedWindow) -> None:
        """Adds a verdict, usually the latest; it replaces an earlier one of the same window."""
        self.version += 1
        self._longest_s = max(self._longest_s, judged.end_s - judged.start_s)
        at = bisect_right(self._starts, judged.start_s)
        if at and self._judged[at - 1].window == judged.window:
            self._judged[at - 1] = judged
            return
        self._judged.insert(at, judged)
        self._starts.insert(at, judged.start_s)

    def note(self, event: Event) -> None:
        """Adds an event, or replaces its earlier version."""
        self.version += 1
        self._events[event.id] = event

    def drop_before(self, time_s: float) -> None:
        """Discards what ended before a second, to bound the memory of a long watch."""
        kept = [one for one in self._judged if one.end_s >= time_s]
        self._judged, self._starts = kept, [one.start_s for one in kept]
        self._events = {key: e for key, e in self._events.items() if e.end_s is None or e.end_s >= time_s}

    @property
    def judged(self) -> Sequence[JudgedWindow]:
        """The verdicts by their start."""
        return self._judged

    @property
    def events(self) -> Sequence[Event]:
        """The events by their onset."""
        return sorted(self._events.values(), key=lambda event: event.onset_s)

    @property
    def end_s(self) -> float:
        """The last second that is known."""
        return max((one.end_s for one in self._judged), default=0.0)

    def verdict_at(self, time_s: float) -> JudgedWindow | None:
        """The verdict of the window that covers a second; of several, the one whose middle is nearest."""
        covering = [s.judged for s in self.between(time_s, time_s)]
        return min(covering, key=lambda one: abs((one.start_s + one.end_s) / 2 - time_s), default=None)

    def event_at(self, time_s: float) -> Event | None:
        """The event that is open at a second; of several, the one with the highest peak."""
        going_on = [e for e in self._events.values() if e.onset_s <= time_s and (e.end_s is None or time_s <= e.end_s)]
        return max(going_on, key=lambda event: event.peak, default=None)

    def between(self, from_s: float, to_s: float) -> list[TimelineSpan]:
        """The windows that cover any of these seconds."""
        first = bisect_right(self._starts, from_s - self._longest_s - JOIN_S)
        last = bisect_right(self._starts, to_s)
        shown = (self._span(number) for number in range(max(0, first - 1), last))
        return [span for span in shown if span.end_s >= from_s]

    def _span(self, number: int) -> TimelineSpan:
        one = self._judged[number]
        next_s = self._starts[number + 1] if number + 1 < len(self._starts) else one.end_s
        follows = one.end_s < next_s <= one.end_s + JOIN_S
        return TimelineSpan(one, one.start_s, next_s if follows else one.end_s)


def unknown_runs(shown: Iterable[TimelineSpan]) -> list[tuple[str, float, float]]:
    """Runs of consecutive windows without a verdict: their cause, start and end."""
    runs: list[tuple[str, float, float]] = []
    for span in shown:
        cause = str(span.judged.verdict.cause or "")
        if not cause:
            continue
        if runs and runs[-1][0] == cause and span.start_s <= runs[-1][2]:
            runs[-1] = (cause, runs[-1][1], span.end_s)
        else:
            runs.append((cause, span.start_s, span.end_s))
    return runs


HATCH_PX = 6
GAP_PX = 3
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def draw_timeline_strip(
    timeline: SourceTimeline,
    *,
    from_s: float,
    to_s: float,
    size_wh: tuple[int, int],
    font_px: int,
    tiers: TierThresholds,
    epoch_s: float | None = None,
    cause_name: Callable[[str], str] = str,
) -> RGB:
    """One page of time as `(H, W, 3) uint8 RGB`: event bars on top, then the probability, then the seconds.

    With `epoch_s`, the `time.time()` of second 0, clock times replace seconds; `cause_name` names a cause.
    """
    width, height = size_wh
    image = np.empty((height, width, 3), np.uint8)
    image[:] = drawing.GROUND
    bar_px, axis_px = GAP_PX + max(4, font_px // 2), round(font_px * 1.15)
    plot = image[bar_px + 2 : height - axis_px]
    plot[:] = drawing.PLOT
    shown = timeline.between(from_s, to_s)
    _draw_probability(plot, shown, from_s=from_s, to_s=to_s, tiers=tiers)
    _draw_thresholds(plot, tiers)
    _draw_events(image[GAP_PX:bar_px], timeline, from_s=from_s, to_s=to_s)
    picture = Image.fromarray(image)
    runs = [(cause_name(cause), start_s, end_s) for cause, start_s, end_s in unknown_runs(shown)]
    _write_causes(picture, runs, top=bar_px + 2, bottom=height - axis_px, span=(from_s, to_s), font_px=font_px)
    _write_seconds(picture, top=height - axis_px, from_s=from_s, to_s=to_s, font_px=font_px, epoch_s=epoch_s)
    return np.array(picture)


def column(time_s: float, *, from_s: float, to_s: float, width: int) -> int:
    """The column of a second, clipped to the strip."""
    return int(np.clip((time_s - from_s) / (to_s - from_s) * width, 0, width - 1))


def _draw_probability(
    plot: RGB, shown: Sequence[TimelineSpan], *, from_s: float, to_s: float, tiers: TierThresholds
) -> None:
    """Columns as high as the highest probability of the windows that cover them; unknown ones are hatched."""
    height, width = plot.shape[:2]
    highest = np.full(width, np.nan)
    unknown = np.zeros(width, np.bool_)
    for span in shown:
        left = column(span.start_s, from_s=from_s, to_s=to_s, width=width)
        right = max(left + 1, column(span.end_s, from_s=from_s, to_s=to_s, width=width))
        p_alarm = span.judged.verdict.p_alarm
        if p_alarm is None:
            unknown[left:right] = True
        else:
            highest[left:right] = np.fmax(highest[left:right], p_alarm)
    _hatch(plot, unknown & np.isnan(highest))
    for x in np.flatnonzero(~np.isnan(highest)):
        top = round((1 - float(highest[x])) * (height - 2))
        colour = drawing.color_of(float(highest[x]), tiers)
        plot[top:, x] = np.asarray(colour) * 0.62
        plot[top : top + 2, x] = colour


def _hatch(plot: RGB, columns: NDArray[np.bool_]) -> None:
    rows, across = np.indices(plot.shape[:2])
    stripes = (rows + across) % HATCH_PX < HATCH_PX / 3
    plot[:, columns] = np.asarray(drawing.UNKNOWN) * 0.42
    plot[stripes & columns[None, :]] = np.asarray(drawing.UNKNOWN) * 0.75


def _draw_thresholds(plot: RGB, tiers: TierThresholds) -> None:
    height, width = plot.shape[:2]
    dashes = np.arange(width) % 8 < 4
    for threshold in (tiers.low, tiers.medium, tiers.high):
        row = round((1 - threshold) * (height - 2))
        plot[row, dashes] = drawing.color_of(threshold, tiers)


def _draw_events(row: RGB, timeline: SourceTimeline, *, from_s: float, to_s: float) -> None:
    height, width = row.shape[:2]
    row[:] = np.asarray(drawing.PLOT) * 0.8
    for event in timeline.events:
        end_s = to_s if event.end_s is None else event.end_s
        if end_s < from_s or event.onset_s > to_s:
            continue
        left = column(event.onset_s, from_s=from_s, to_s=to_s, width=width)
        right = max(left + 2, column(end_s, from_s=from_s, to_s=to_s, width=width))
        colour: Color = drawing.TIER_COLOURS[event.tier]
        cv2.rectangle(row, (left, 0), (right, height - 1), colour, -1)


def _write_causes(
    picture: Image.Image,
    runs: Sequence[tuple[str, float, float]],
    *,
    top: int,
    bottom: int,
    span: tuple[float, float],
    font_px: int,
) -> None:
    """Writes the cause of each run of unknown windows, if there is room and a font that can show it."""
    pen = ImageDraw.Draw(picture)
    for caption, start_s, end_s in runs:
        set_in = choose_typeface(caption)
        if set_in is None:
            continue
        cause, face = set_in
        font = face.at(max(9, round(font_px * 0.72)))
        left = column(start_s, from_s=span[0], to_s=span[1], width=picture.width)
        right = column(end_s, from_s=span[0], to_s=span[1], width=picture.width)
        if font.getlength(cause) + 8 <= right - left:
            middle = ((left + right) / 2, (top + bottom) / 2)
            box = pen.textbbox(middle, cause, font=font, anchor="mm")
            pen.rectangle((box[0] - 4, box[1] - 2, box[2] + 4, box[3] + 2), fill=drawing.GROUND)
            pen.text(middle, cause, font=font, anchor="mm", fill=drawing.INK)


def _write_seconds(
    picture: Image.Image, *, top: int, from_s: float, to_s: float, font_px: int, epoch_s: float | None
) -> None:
    font = latin_typeface().at(max(9, round(font_px * 0.72)))
    pen = ImageDraw.Draw(picture)
    room = picture.width / (font.getlength("00:00:00") * 1.8)
    step_s = next((step for step in STEPS_S if (to_s - from_s) / step <= room), STEPS_S[-1])
    zero_s = 0.0 if epoch_s is None else epoch_s
    first = int((zero_s + from_s) // step_s) * step_s
    for moment in range(first, int(zero_s + to_s) + 1, step_s):
        second = moment - zero_s
        if second < from_s:
            continue
        x = column(second, from_s=from_s, to_s=to_s, width=picture.width)
        label = format_seconds(second) if epoch_s is None else clock_time(moment)
        half = font.getlength(label) / 2
        pen.line((x, top, x, top + 3), fill=drawing.FAINT)
        place = min(max(x, half + 4), picture.width - half - 4)
        pen.text((place, top + 3), label, font=font, anchor="mt", fill=drawing.FAINT)


def clock_time(moment_s: float) -> str:
    """A `time.time()` as local clock time, as in the list of events."""
    return f"{datetime.fromtimestamp(moment_s):%H:%M:%S}"


def format_seconds(seconds: float, *, tenths: bool = False) -> str:
    """A duration for people: `1:05`, `1:02:03`, with tenths `1:05.3`."""
    total = max(0.0, seconds)
    whole = int(total * 10) // 10 if tenths else int(total)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    tail = f".{int(total * 10) % 10}" if tenths else ""
    return f"{hours}:{minutes:02}:{rest:02}{tail}" if hours else f"{minutes}:{rest:02}{tail}"
