"""Measures the gate before the model on labelled clips: what each threshold skips, and which incidents it loses.

    levels = measure_clips(find_clips(folder, question).clips, sampling, gate="person", progress=progress)
    figures = [figures_at(levels, threshold) for threshold in THRESHOLDS["person"]]

The level of a window is its motion in grey levels, or how sure the detector is that a person is in it. A threshold
skips the windows below it.

An incident is a clip with the alarm label; it is lost if every one of its windows is skipped, for then no model sees
anything of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vigil.dataset.clips import LabelledClip
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.person_detector import PersonDetector
from vigil.score.metrics import Interval, clopper_pearson
from vigil.sources.video_file import read_frames
from vigil.watch.gate import MotionGate, PersonGate
from vigil.windows import Window, iter_windows

MeasuredGate: TypeAlias = Literal["motion", "person"]

THRESHOLDS: Mapping[MeasuredGate, tuple[float, ...]] = {
    "motion": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0),
    "person": (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7),
}
"""What is tried unless something else is asked for: grey levels of motion, or confidences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLevels:
    """The level of each window of a clip."""

    name: str
    is_incident: bool
    levels: tuple[float, ...]

    def skipped(self, threshold: float) -> int:
        """How many of its windows a threshold skips."""
        return sum(level < threshold for level in self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """What one threshold does: windows, those skipped, and incidents lost, with exact 95 % intervals of the shares."""

    threshold: float
    normal_windows: int
    normal_skipped: int
    incident_windows: int
    incident_skipped: int
    incidents: int
    lost: int
    lost_names: tuple[str, ...] = ()

    @property
    def normal_share(self) -> float:
        """The share of the windows of normal clips that the model need not see."""
        return self.normal_skipped / self.normal_windows if self.normal_windows else 0.0

    @property
    def normal_ci95(self) -> Interval:
        """Its interval, as if windows were independent of each other, which those of one clip are not."""
        return clopper_pearson(self.normal_skipped, self.normal_windows)

    @property
    def lost_ci95(self) -> Interval:
        """The interval of the share of incidents that are lost."""
        return clopper_pearson(self.lost, self.incidents)


def levels_of(clip: LabelledClip, sampling: FrameSampling, level: Callable[[Window], float]) -> ClipLevels:
    """The level of each window of a clip; raises SourceError if it cannot be read."""
    windows = iter_windows(read_frames(clip.path, sampling), sampling)
    levels = tuple(level(window) for window in windows)
    return ClipLevels(name=clip.name, is_incident=clip.label == "alarm", levels=levels)


def measure_clips(
    clips: Sequence[LabelledClip],
    sampling: FrameSampling,
    *,
    gate: MeasuredGate,
    progress: Callable[[int, int, str], None],
) -> list[ClipLevels]:
    """The levels of all clips; `progress(done, total, name)` is called after each."""
    detector = PersonDetector()
    measured = []
    for number, clip in enumerate(clips, start=1):
        # A gate of its own for each: it knows frames by their times.
        level = MotionGate(0.0).motion if gate == "motion" else PersonGate(0.0, detector).confidence
        measured.append(levels_of(clip, sampling, level))
        progress(number, len(clips), clip.name)
    return measured


def checked_thresholds(thresholds: Sequence[float], *, gate: MeasuredGate) -> list[float]:
    """The thresholds in order, each once; raises UsageError unless all are above 0, and confidences below 1."""
    wrong = [each for each in thresholds if not 0 < each < (float("inf") if gate == "motion" else 1.0)]
    if wrong and gate == "person":
        raise UsageError(f"a threshold of the person gate is a confidence above 0 and below 1, not {wrong[0]:g}")
    if wrong:
        raise UsageError(f"a threshold is above 0 grey levels, not {wrong[0]:g}")
    return sorted(set(thresholds))


def figures_at(clips: Sequence[ClipLevels], threshold: float) -> GateFigures:
    """What a threshold does to clips."""
    incidents = [clip for clip in clips if clip.is_incident]
    normal = [clip for clip in clips if not clip.is_incident]
    lost = [clip.name for clip in incidents if clip.skipped(threshold) == len(clip.levels)]
    return GateFigures(
        threshold=threshold,
        normal_windows=sum(len(clip.levels) for clip in normal),
        normal_skipped=sum(clip.skipped(threshold) for clip in normal),
        incident_windows=sum(len(clip.levels) for clip in incidents),
        incident_skipped=sum(clip.skipped(threshold) for clip in incidents),
        incidents=len(incidents),
        lost=len(lost),
        lost_names=tuple(lost),
    )


def highest_without_loss(figures: Sequence[GateFigures]) -> float | None:
    """The highest threshold up to which no incident is lost; None if the lowest one loses some."""
    safe: float | None = None
    for each in sorted(figures, key=lambda each: each.threshold):
        if each.lost:
            break
        safe = each.threshold
    return safe
