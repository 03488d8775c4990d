"""Measures the gate before the model on labelled clips: what each threshold skips, and which incidents it loses.

    motions = [motion_of(clip, sampling) for clip in find_clips(folder, question).clips]
    figures = [figures_at(motions, threshold) for threshold in THRESHOLDS]

An incident is a clip with the alarm label; it is lost if every one of its windows is skipped, for then no model sees
anything of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vigil.dataset.clips import LabelledClip
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.score.metrics import Interval, clopper_pearson
from vigil.sources.video_file import read_frames
from vigil.watch.gate import MotionGate
from vigil.windows import iter_windows

THRESHOLDS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Grey levels of motion that are tried unless others are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMotion:
    """The motion of each window of a clip, in grey levels."""

    name: str
    is_incident: bool
    motion: tuple[float, ...]

    def skipped(self, threshold: float) -> int:
        """How many of its windows a threshold skips."""
        return sum(motion < threshold for motion in self.motion)


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


def motion_of(clip: LabelledClip, sampling: FrameSampling) -> ClipMotion:
    """The motion in each window of a clip; raises SourceError if it cannot be read."""
    gate = MotionGate(0.0)
    windows = iter_windows(read_frames(clip.path, sampling), sampling)
    return ClipMotion(
        name=clip.name, is_incident=clip.label == "alarm", motion=tuple(gate.motion(window) for window in windows)
    )


def measure_clips(
    clips: Sequence[LabelledClip], sampling: FrameSampling, *, progress: Callable[[int, int, str], None]
) -> list[ClipMotion]:
    """The motion of all clips; `progress(done, total, name)` is called after each."""
    measured = []
    for number, clip in enumerate(clips, start=1):
        measured.append(motion_of(clip, sampling))
        progress(number, len(clips), clip.name)
    return measured


def checked_thresholds(thresholds: Sequence[float]) -> list[float]:
    """The thresholds in order, each once; raises UsageError unless all are above 0."""
    wrong = [each for each in thresholds if not 0 < each < float("inf")]
    if wrong:
        raise UsageError(f"a threshold is above 0 grey levels, not {wrong[0]:g}")
    return sorted(set(thresholds))


def figures_at(clips: Sequence[ClipMotion], threshold: float) -> GateFigures:
    """What a threshold does to clips."""
    incidents = [clip for clip in clips if clip.is_incident]
    normal = [clip for clip in clips if not clip.is_incident]
    lost = [clip.name for clip in incidents if clip.skipped(threshold) == len(clip.motion)]
    return GateFigures(
        threshold=threshold,
        normal_windows=sum(len(clip.motion) for clip in normal),
        normal_skipped=sum(clip.skipped(threshold) for clip in normal),
        incident_windows=sum(len(clip.motion) for clip in incidents),
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
