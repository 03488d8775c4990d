"""Says from the pixels of a window what is wrong with the camera: covered, moved, frozen, too dark, out of focus.

    health = CameraHealth()
    answers = health.examine(window, masks.current, faults=[Fault.COVERED])     # {"camera covered": Answer(...)}

No model is asked. Each fault is shown, not shown, or unknown in a window; the rule about it
(`vigil.rules.camera_fault`) counts the seconds. docs/rules.md explains what each fault is,
docs/measurements/camera.md how often it is right.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vigil.masks import Mask, paint
from vigil.rules.camera_fault import Fault, fault_answer, fault_question
from vigil.verdict import Answer
from vigil.watch.known_views import COARSE_WH, SAME_FROM, Grey, Match, Visible, away_from_masks
from vigil.watch.live_views import LiveViews
from vigil.windows import EncodedFrame, Window

SMALL_WH = (192, 144)
CELLS_WH = (8, 6)

DARK_BELOW = 28.0
"""Grey levels: in a picture that is too dark, all but the brightest hundredth are below."""

FLAT_BELOW = 1.2
"""Grey levels per pixel, root mean square in a cell of the picture: below, nothing can be seen in that cell."""

COVERED_SHARE = 0.85
"""The share of flat cells from which on something hides a view that is known; all of them where none is."""

BLURRED_BELOW = 0.6
"""Out of focus: edges are so many times as steep as they usually are in this view."""

FROZEN_FROM_S = 20.0
"""Longer than cameras take from one keyframe to the next, with which the picture of a still scene changes a little."""

LEAST_VISIBLE = 0.05
"""The share of a picture that masks must leave, or nothing is said of it."""

FINE_PX, WIDE_PX = 0.7, 3.0
"""The two scales at which the steepness of edges is compared."""


@dataclass(frozen=True, slots=True)
class PictureMeasures:
    """What the pictures of a window are like: `bright` in grey levels, `flat` as a share of the cells that are visible.

    `sharpness` compares the steepest edges at a fine and a wide scale: 1 or less is blurred, 3 is sharp.
    """

    bright: float
    flat: float
    sharpness: float
    coarse: Grey
    visible: Visible


class Sameness:
    """For how long the pictures of a source have been the same to the last pixel, noise and all."""

    def __init__(self) -> None:
        self._last: EncodedFrame | None = None
        self._since_s = 0.0

    def is_frozen(self, shots: Sequence[EncodedFrame]) -> bool | None:
        """Whether a window, the next one, shows what was shown for `FROZEN_FROM_S`; None if it may still be so."""
        changed = False
        for shot in shots:
            if self._last is not None and shot.time_s <= self._last.time_s:
                continue
            if self._last is None or not np.array_equal(self._last.image, shot.image):
                changed, self._since_s = True, shot.time_s
            self._last = shot
        if self._last is not None and self._last.time_s - self._since_s >= FROZEN_FROM_S:
            return True
        return False if changed else None


class CameraHealth:
    """Examines the windows of one source, in order; it learns the usual `views` from them."""

    def __init__(self, views: LiveViews | None = None) -> None:
        self._views = views or LiveViews()
        self._seen_until_s = -np.inf
        self._sameness = Sameness()
        self._small: dict[float, Grey] = {}

    def examine(
        self, window: Window, masks: Sequence[Mask] = (), *, faults: Collection[Fault] = tuple(Fault)
    ) -> Mapping[str, Answer]:
        """The answers about the `faults` that are asked for, by their questions; empty if none is."""
        visible = visible_pixels(tuple(masks))
        if masks:
            self._views.cover(_coarsely(visible))
        if not faults:
            return {}
        shots = window.shots[: len(window.shots) - window.repeated] or window.shots
        states: dict[Fault, bool | None] = {Fault.FROZEN: self._sameness.is_frozen(shots)}
        if visible.mean() >= LEAST_VISIBLE:
            states |= self._look(shots, visible)
        return {fault_question(fault): fault_answer(fault, states.get(fault)) for fault in Fault if fault in faults}

    def _look(self, shots: Sequence[EncodedFrame], visible: Visible) -> dict[Fault, bool | None]:
        cached, self._small = self._small, {}
        for shot in shots:
            kept = cached.get(shot.time_s)
            self._small[shot.time_s] = small_grey(shot) if kept is None else kept
        measured = measure([self._small[shot.time_s] for shot in shots], visible)
        alone = faults_in(measured, None)
        match = self._views.match(
            measured.coarse,
            measured.visible,
            sharpness=measured.sharpness,
            is_clear=not (alone[Fault.DARK] or alone[Fault.COVERED]),
        )
        states = faults_in(measured, match)
        if not (states[Fault.DARK] or states[Fault.COVERED]):
            new_s = min(max(0.0, shots[-1].time_s - self._seen_until_s), shots[-1].time_s - shots[0].time_s)
            self._seen_until_s = max(self._seen_until_s, shots[-1].time_s)
            self._views.learn(
                measured.coarse,
                measured.visible,
                sharpness=measured.sharpness,
                seconds=new_s,
                is_sharp=not states[Fault.BLURRED],
            )
        return states


def faults_in(measured: PictureMeasures, match: Match | None) -> dict[Fault, bool | None]:
    """What the measures say, beside the known views of the camera; None is unknown.

    In a picture that is too dark nobody can tell whether the lens is covered too, unless the usual view still shows.
    """
    dark = measured.bright < DARK_BELOW
    flat = measured.flat >= (1.0 if match is None else COVERED_SHARE)
    same = match is not None and match.correlation >= SAME_FROM
    nothing_to_see = dark or flat
    return {
        Fault.DARK: dark,
        Fault.COVERED: False if same else (None if dark else flat),
        Fault.MOVED: None if match is None or (nothing_to_see and not same) else not same,
        Fault.BLURRED: (
            measured.sharpness < BLURRED_BELOW * match.sharpness if match is not None and same and not dark else None
        ),
    }


def measure(pictures: Sequence[Grey], visible: Visible) -> PictureMeasures:
    """PictureMeasures the small grey pictures (144 x 192, float32) of a window, of which masks leave `visible`."""
    mean = np.asarray(np.mean(pictures, axis=0), np.float32)
    steep = _steepness(mean, 1.0)
    rows, columns = CELLS_WH[::-1]
    cells = _by_cell(np.where(visible, steep**2, 0.0).astype(np.float32))
    shares = _by_cell(visible.astype(np.float32))
    seen = shares.reshape(rows, columns) >= 0.5
    rms = np.sqrt(cells / np.maximum(shares, 1e-6))
    coarse = cv2.resize(mean, COARSE_WH, interpolation=cv2.INTER_AREA)
    clear = _coarsely(visible)
    return PictureMeasures(
        bright=float(np.percentile(mean[visible], 99)),
        flat=float(np.mean(rms[seen] < FLAT_BELOW)) if seen.any() else 0.0,
        sharpness=float(
            np.median([_sharpness(picture, visible) for picture in pictures[:: max(1, len(pictures) - 1)]])
        ),
        coarse=np.where(clear, coarse, 0.0).astype(np.float32),
        visible=away_from_masks(clear),
    )


def _coarsely(visible: Visible) -> Visible:
    """The coarse pixels that no mask touches."""
    return np.asarray(cv2.resize(visible.astype(np.float32), COARSE_WH, interpolation=cv2.INTER_AREA) > 0.99)


def small_grey(shot: EncodedFrame) -> Grey:
    """A frame in grey, 192 x 144."""
    grey = cv2.cvtColor(shot.image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, SMALL_WH, interpolation=cv2.INTER_AREA), np.float32)


@lru_cache(maxsize=64)
def visible_pixels(masks: tuple[Mask, ...]) -> Visible:
    """Which pixels of a small picture no mask covers, nor the edge of one."""
    if not masks:
        return np.ones(SMALL_WH[::-1], bool)
    blank = np.full((*SMALL_WH[::-1], 3), (1, 2, 3), np.uint8)
    clear = (paint(blank, masks) == blank).all(axis=2)
    return np.asarray(cv2.erode(clear.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0)


def _steepness(picture: Grey, scale_px: float) -> Grey:
    smooth = cv2.GaussianBlur(picture, (0, 0), scale_px)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(cv2.magnitude(x, y), np.float32)


def _sharpness(picture: Grey, visible: Visible) -> float:
    fine, wide = (float(np.percentile(_steepness(picture, px)[visible], 99)) for px in (FINE_PX, WIDE_PX))
    return fine / max(wide, 1e-6)


def _by_cell(picture: Grey) -> Grey:
    return np.asarray(cv2.resize(picture, CELLS_WH, interpolation=cv2.INTER_AREA), np.float32)
