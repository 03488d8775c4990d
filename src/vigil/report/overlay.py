"""Draws the overlay of an annotated video: verdict, time, description, alarm border and timeline strip.

The strip is below the picture, so that it hides nothing of the scene. Labels are drawn once and reused.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vigil.events import Event, TierThresholds
from vigil.frames import RGB
from vigil.report import drawing
from vigil.report.drawing import Color, Typeface, choose_typeface, latin_typeface, shorten_to_width, wrap
from vigil.report.timeline import SourceTimeline, column, draw_timeline_strip, format_seconds
from vigil.sources.video_info import letterbox
from vigil.verdict import JudgedWindow, Outcome

LEAST_LONG_PX = 640
MOST_LONG_PX = 1920
PAGE_S = 60.0
LONGEST_PAGE_S = 120.0
GLASS = 205
SMOOTH = 3


@dataclass(frozen=True, slots=True)
class OverlayLayout:
    """The sizes of an annotated video, all in pixels: the picture above, the strip below it, both even."""

    picture_wh: tuple[int, int]
    strip_px: int
    font_px: int

    @property
    def size_wh(self) -> tuple[int, int]:
        """The size of the video."""
        return self.picture_wh[0], self.picture_wh[1] + self.strip_px


def layout_for(size_wh: tuple[int, int]) -> OverlayLayout:
    """The layout for frames of a size: small ones are enlarged so that text is readable."""
    long_px = min(max(max(size_wh), LEAST_LONG_PX), MOST_LONG_PX)
    scale = long_px / max(size_wh)
    width, height = (max(64, round(side * scale) // 2 * 2) for side in size_wh)
    font_px = int(np.clip(min(width * 0.042, height * 0.05), 12, 42))
    return OverlayLayout((width, height), round(font_px * 4.6) // 2 * 2, font_px)


class Overlay:
    """Draws on the frames of one video; `end_s` is the length of a file, None for a live source."""

    def __init__(
        self,
        timeline: SourceTimeline,
        layout: OverlayLayout,
        *,
        tiers: TierThresholds,
        title: str = "",
        end_s: float | None = None,
    ) -> None:
        self.timeline = timeline
        self.layout = layout
        self.tiers = tiers
        self.title = title
        self.end_s = end_s
        self._strip: tuple[tuple[float, float, int], RGB] | None = None

    def draw(self, image: RGB, time_s: float) -> RGB:
        """The annotated frame of a second: `(H, W, 3) uint8 RGB` of the layout's size."""
        canvas = np.empty((self.layout.size_wh[1], self.layout.size_wh[0], 3), np.uint8)
        scene = canvas[: self.layout.picture_wh[1]]
        scene[:] = letterbox(image, self.layout.picture_wh)
        judged, event = self.timeline.verdict_at(time_s), self.timeline.event_at(time_s)
        edge = max(3, self.layout.font_px // 4)
        if event is not None:
            _frame(scene, drawing.TIER_COLOURS[event.tier], edge)
        self._draw_labels(scene, judged, event, time_s, margin=edge + self.layout.font_px // 3)
        self._draw_strip(canvas[self.layout.picture_wh[1] :], time_s)
        return canvas

    def _draw_labels(
        self, scene: RGB, judged: JudgedWindow | None, event: Event | None, time_s: float, *, margin: int
    ) -> None:
        font_px = self.layout.font_px
        word, colour = verdict_caption(judged, self.tiers)
        width = scene.shape[1]
        verdict = _label(word, colour, font_px, width * 2 // 3)
        _paste(scene, verdict, left=margin, top=margin)
        when = _label(format_seconds(time_s, tenths=True), None, font_px, width // 3)
        _paste(scene, when, left=width - margin - when.shape[1], top=margin)
        title = _title(self.title, round(font_px * 0.72), width // 2)
        if title is not None:
            _paste(scene, title, left=width - margin - title.shape[1], top=margin + when.shape[0] + font_px // 4)
        words = _caption(_event_text(judged, event), round(font_px * 0.85), width - 2 * margin)
        if words is not None:
            _paste(scene, words, left=margin, top=scene.shape[0] - margin - words.shape[0])

    def _draw_strip(self, place: RGB, time_s: float) -> None:
        from_s, to_s = self._page(time_s)
        key = (from_s, to_s, self.timeline.version)
        if self._strip is None or self._strip[0] != key:
            height, width = place.shape[:2]
            drawn = draw_timeline_strip(
                self.timeline,
                from_s=from_s,
                to_s=to_s,
                size_wh=(width, height),
                font_px=self.layout.font_px,
                tiers=self.tiers,
            )
            self._strip = key, drawn
        place[:] = self._strip[1]
        now = column(time_s, from_s=from_s, to_s=to_s, width=place.shape[1])
        place[:, now + 1 :] = place[:, now + 1 :] * 0.55
        place[:, max(0, now - 1) : now + 1] = 255

    def _page(self, time_s: float) -> tuple[float, float]:
        """The seconds that the strip shows: all of a short file, else the current minute."""
        if self.end_s is not None and self.end_s <= LONGEST_PAGE_S:
            return 0.0, max(self.end_s, 1.0)
        start_s = time_s // PAGE_S * PAGE_S
        return start_s, start_s + PAGE_S


def verdict_caption(judged: JudgedWindow | None, tiers: TierThresholds) -> tuple[str, Color]:
    """The caption of a verdict, and its colour."""
    if judged is None:
        return "not judged", drawing.UNKNOWN
    verdict = judged.verdict
    if verdict.outcome is Outcome.UNKNOWN:
        return f"unknown: {str(verdict.cause).replace('_', ' ')}", drawing.UNKNOWN
    if verdict.p_alarm is None:
        alarm = verdict.outcome is Outcome.ALARM
        return str(verdict.outcome), drawing.color_of(tiers.low if alarm else 0.0, tiers)
    colour = drawing.color_of(verdict.p_alarm, tiers)
    tier = f"  {tiers.of(verdict.p_alarm)}" if verdict.p_alarm >= tiers.low else ""
    return f"{verdict.outcome}  {verdict.p_alarm:.2f}{tier}", colour


def _event_text(judged: JudgedWindow | None, event: Event | None) -> str:
    if event is not None and event.text:
        return event.text
    return judged.verdict.text or "" if judged is not None else ""


def _frame(scene: RGB, colour: Color, edge: int) -> None:
    scene[:edge] = scene[-edge:] = colour
    scene[:, :edge] = scene[:, -edge:] = colour


def _paste(scene: RGB, label: NDArray[np.uint8], *, left: int, top: int) -> None:
    """Blends a picture with transparency, `(H, W, 4)`, onto the scene; what does not fit is cut off."""
    left, top = max(0, left), max(0, top)
    place = scene[top : top + label.shape[0], left : left + label.shape[1]]
    label = label[: place.shape[0], : place.shape[1]]
    opacity = label[:, :, 3:].astype(np.uint16)
    place[:] = (label[:, :, :3] * opacity + place * (255 - opacity)) // 255


@lru_cache(maxsize=256)
def _label(text: str, colour: Color | None, font_px: int, most_px: int) -> NDArray[np.uint8]:
    """One line on a dark plate, with a block of colour before it."""
    font = latin_typeface(bold=True).at(font_px)
    shown = shorten_to_width(text, font, width_px=most_px)
    pad, block = round(font_px * 0.45), 0 if colour is None else round(font_px * 0.8)
    width, height = round(font.getlength(shown)) + 2 * pad + (block + pad if block else 0), round(font_px * 1.6)
    label = _glass(width, height, radius=font_px // 4)
    pen = ImageDraw.Draw(label)
    if colour is not None:
        top = (height - block) // 2
        pen.rounded_rectangle((pad, top, pad + block, top + block), font_px // 6, fill=colour)
    pen.text((width - pad, height / 2), shown, font=font, anchor="rm", fill=drawing.INK)
    return np.asarray(label)


@lru_cache(maxsize=8)
def _title(text: str, font_px: int, most_px: int) -> NDArray[np.uint8] | None:
    """The source's name, small; None if no font can show it."""
    set_in = choose_typeface(text)
    return None if set_in is None else _lines([set_in[0]], set_in[1], font_px, most_px, lines=1)


@lru_cache(maxsize=32)
def _caption(text: str, font_px: int, most_px: int) -> NDArray[np.uint8] | None:
    """The model's description on a dark plate; None if it is empty or no font can show it."""
    set_in = choose_typeface(text)
    return None if set_in is None else _lines([set_in[0]], set_in[1], font_px, most_px, lines=2)


def _lines(text: list[str], face: Typeface, font_px: int, most_px: int, *, lines: int) -> NDArray[np.uint8]:
    font = face.at(max(9, font_px))
    pad = round(font_px * 0.5)
    broken = wrap(text[0], font, width_px=most_px - 2 * pad, lines=lines)
    step = round(font_px * 1.35)
    width = round(max(font.getlength(line) for line in broken)) + 2 * pad
    label = _glass(width, step * len(broken) + pad, radius=font_px // 4)
    pen = ImageDraw.Draw(label)
    for number, line in enumerate(broken):
        pen.text((pad, pad / 2 + (number + 0.5) * step), line, font=font, anchor="lm", fill=drawing.INK)
    return np.asarray(label)


def _glass(width: int, height: int, *, radius: int) -> Image.Image:
    """A dark plate with rounded, smooth corners."""
    mask = Image.new("L", (width * SMOOTH, height * SMOOTH), 0)
    box = (0, 0, width * SMOOTH - 1, height * SMOOTH - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * SMOOTH, fill=GLASS)
    plate = Image.new("RGBA", (width, height), (*drawing.GROUND, 0))
    plate.putalpha(mask.resize((width, height), Image.Resampling.BOX))
    return plate
