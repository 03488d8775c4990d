"""The gate before the model: windows in which nothing moves, or nobody is, are not judged.

They end as `skipped`, never `normal`. `vigil gate measure` tells how many windows a threshold skips, and how many
incidents it loses (docs/gate.md).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol, TypeAlias

from vigil.frames import RGB
from vigil.person_detector import PersonDetector
from vigil.picture_change import Grey, grey_thumbnail, mean_difference
from vigil.windows import Window

GateName: TypeAlias = Literal["none", "motion", "person"]

USUAL_MOTION = 1.0
"""Grey levels: the highest threshold tried that lost no incident in docs/measurements/gate.md."""

USUAL_PERSON = 0.05
"""Confidence: above that of empty scenes, a quarter of that of the least sure incident (docs/measurements/gate.md)."""


class WindowGate(Protocol):
    """Decides which windows the model never sees."""

    def skips(self, window: Window) -> bool:
        """Whether the model need not see a window; called for each window of a source, in order."""
        ...


class Detector(Protocol):
    """Looks for people (`vigil.person_detector`)."""

    def confidence(self, image: RGB) -> float:
        """How sure it is that a person is in a picture, from 0 to 1."""
        ...


class MotionGate:
    """Skips windows in which no frame differs from the previous one by `threshold` grey levels (of 255).

    Motion is the mean absolute difference of neighbouring frames, in grey and at 64x64 pixels. It ranks pairs of frames
    as SSIM does (Spearman 0.98) at a hundredth of the cost (measured in docs/ingest.md).
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._small: dict[float, Grey] = {}

    def skips(self, window: Window) -> bool:
        """Returns True if nothing moves in a window; always False if the gate is off (`threshold` is 0)."""
        return self.threshold > 0 and self.motion(window) < self.threshold

    def motion(self, window: Window) -> float:
        """The largest mean absolute difference between two neighbouring frames, in grey levels."""
        cached = self._small
        self._small = {
            shot.time_s: cached[shot.time_s] if shot.time_s in cached else grey_thumbnail(shot.image)
            for shot in window.shots
        }
        frames = [self._small[shot.time_s] for shot in window.shots]
        pairs = pairwise(frames)
        return max((mean_difference(a, b) for a, b in pairs), default=0.0)


class PersonGate:
    """Skips windows in no frame of which a person is seen with a confidence of `threshold` (from 0 to 1).

    Frames that two windows share are examined once, and none is once a person is seen: a busy camera costs one
    picture a window, an empty one all new ones (four, as windows usually overlap).
    """

    def __init__(self, threshold: float, detector: Detector) -> None:
        self.threshold = threshold
        self._detector = detector
        self._known: dict[float, float] = {}

    def skips(self, window: Window) -> bool:
        """Returns True if nobody is in a window; always False if the gate is off (`threshold` is 0)."""
        if self.threshold <= 0:
            return False
        self._forget_all_but(window)
        if any(confidence >= self.threshold for confidence in self._known.values()):
            return False
        return all(self._examined(window, index) < self.threshold for index in range(len(window.shots)))

    def confidence(self, window: Window) -> float:
        """That of the surest person in any frame of a window."""
        self._forget_all_but(window)
        return max((self._examined(window, index) for index in range(len(window.shots))), default=0.0)

    def _examined(self, window: Window, index: int) -> float:
        shot = window.shots[index]
        if shot.time_s not in self._known:
            self._known[shot.time_s] = self._detector.confidence(shot.image)
        return self._known[shot.time_s]

    def _forget_all_but(self, window: Window) -> None:
        times_s = {shot.time_s for shot in window.shots}
        self._known = {time_s: known for time_s, known in self._known.items() if time_s in times_s}


class AnyGate:
    """Skips a window that one of several gates skips; the cheaper ones come first."""

    def __init__(self, gates: Sequence[WindowGate]) -> None:
        self._gates = gates

    def skips(self, window: Window) -> bool:
        """Whether one of the gates skips it; those after the first that does are not asked."""
        return any(gate.skips(window) for gate in self._gates)


def build_gate(*, motion_threshold: float, person_threshold: float) -> WindowGate:
    """The gate of one source; a threshold of 0 leaves that one out."""
    gates: list[WindowGate] = [MotionGate(motion_threshold)] if motion_threshold > 0 else []
    if person_threshold > 0:
        gates.append(PersonGate(person_threshold, PersonDetector()))
    return AnyGate(gates)
