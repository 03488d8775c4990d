"""The views that a camera usually has, as coarse pictures, to tell whether it still looks the same way.

Two pictures are compared by the correlation of their brightness gradients (-1 to 1), which neither the light nor the
exposure changes much. A camera has a few views: by day, by night under infrared light, each position of a patrol.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Grey: TypeAlias = NDArray[np.float32]
Visible: TypeAlias = NDArray[np.bool_]

COARSE_WH = (48, 36)
SAME_FROM = 0.3
"""Pictures whose gradients correlate less show another view: measured in docs/measurements/camera.md."""

LEARN_S = 20.0
"""A first view is known after so many seconds."""

ACCEPT_S = 1800.0
"""Another view that stays for so long is one of the camera's views from then on."""

MOST_VIEWS = 4
PACE = 0.03
"""The share of each new picture in a view, so that it follows daylight within minutes."""

LEAST_STRUCTURE = 0.5
"""Grey levels per coarse pixel, root mean square: below, there is nothing to recognise a view by."""


@dataclass(slots=True)
class View:
    """One view: its average picture, how sharp it is, and for how many seconds it was seen."""

    picture: Grey
    visible: Visible
    sharpness: float
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Match:
    """How a picture compares with the known views: the best correlation, and the sharpness of that view."""

    correlation: float
    sharpness: float


class KnownViews:
    """Learns the views of one camera from its pictures, in their order; `views` are those it knows already."""

    def __init__(self, views: Iterable[View] = ()) -> None:
        self._views: list[View] = list(views)[-MOST_VIEWS:]
        self._candidate: View | None = None

    @property
    def views(self) -> Sequence[View]:
        """The views that are known, in the order in which they became so."""
        return self._views

    def match(self, picture: Grey, visible: Visible) -> Match | None:
        """Compares a coarse picture (48 x 36, grey levels) with the known views; None if there is none, or no light.

        `visible` says which of its pixels no mask covers.
        """
        best = self._best(picture, visible)
        return None if best is None else Match(best[0], best[1].sharpness)

    def accept(self, picture: Grey, visible: Visible, *, sharpness: float) -> bool:
        """Makes a picture the only view; returns False if there is nothing in it to recognise it by."""
        if structure(picture, visible) < LEAST_STRUCTURE:
            return False
        self._views, self._candidate = [View(picture, visible, sharpness)], None
        return True

    def cover(self, visible: Visible) -> bool:
        """Blackens what a new mask covers in all views, so that it is kept no longer; returns whether there was any.

        A view of which too little is left to recognise it by is forgotten.
        """
        views = [*self._views, *filter(None, [self._candidate])]
        covered = [view for view in views if view.picture[~visible].any()]
        for view in covered:
            view.picture = np.where(visible, view.picture, np.float32(0.0))
            view.visible = view.visible & away_from_masks(visible)
        if covered:
            self._views = [view for view in self._views if structure(view.picture, view.visible) >= LEAST_STRUCTURE]
            self._candidate = None
        return bool(covered)

    def learn(
        self, picture: Grey, visible: Visible, *, sharpness: float, seconds: float, is_sharp: bool = True
    ) -> bool:
        """Takes in a picture, `seconds` newer than the one before; returns True if that made another view known.

        A picture that is out of focus tells no sharpness.
        """
        if structure(picture, visible) < LEAST_STRUCTURE:
            return False
        seen = View(picture, visible, sharpness, seconds)
        best = self._best(picture, visible)
        if best is not None and best[0] >= SAME_FROM:
            self._candidate = None
            _blend(best[1], seen, is_sharp=is_sharp)
            return False
        if self._candidate is None or _correlation(self._candidate, seen) < SAME_FROM:
            self._candidate = seen
        else:
            _blend(self._candidate, seen, is_sharp=True)
        if self._candidate.seen_s < (ACCEPT_S if self._views else LEARN_S):
            return False
        self._views = [*self._views, self._candidate][-MOST_VIEWS:]
        self._candidate = None
        return True

    def _best(self, picture: Grey, visible: Visible) -> tuple[float, View] | None:
        if not self._views or structure(picture, visible) < LEAST_STRUCTURE:
            return None
        seen = View(picture, visible, 0.0)
        return max(((_correlation(view, seen), view) for view in self._views), key=lambda each: each[0])


def away_from_masks(visible: Visible) -> Visible:
    """The coarse pixels whose gradients no mask's edge touches; `visible` is what no mask touches itself."""
    return visible if visible.all() else cv2.erode(visible.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def structure(picture: Grey, visible: Visible) -> float:
    """How much there is to recognise in a coarse picture: the root mean square of its gradients."""
    x, y = _gradients(picture)
    return float(np.sqrt(np.mean((x**2 + y**2)[visible]))) if visible.any() else 0.0


def _blend(view: View, seen: View, *, is_sharp: bool) -> None:
    # The first pictures count alike, so that a view does not remain what its first picture happened to show.
    pace = max(PACE, min(1.0, seen.seen_s / (view.seen_s + seen.seen_s)))
    blended = view.picture + pace * (seen.picture - view.picture)
    # What a mask covers no longer is as it is seen now.
    view.picture = np.where(seen.visible & ~view.visible, seen.picture, blended)
    view.visible = seen.visible
    view.seen_s += seen.seen_s
    if is_sharp:
        view.sharpness += pace * (seen.sharpness - view.sharpness)


def _gradients(picture: Grey) -> tuple[Grey, Grey]:
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.8)
    x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _correlation(one: View, other: View) -> float:
    both = one.visible & other.visible
    (ax, ay), (bx, by) = _gradients(one.picture), _gradients(other.picture)
    together = float(np.sum((ax * bx + ay * by)[both]))
    sizes = float(np.sum((ax**2 + ay**2)[both])) * float(np.sum((bx**2 + by**2)[both]))
    return together / np.sqrt(sizes) if sizes > 0 else 0.0
