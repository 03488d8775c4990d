"""The score of a watch against the known onsets of long videos: windows, events, false alarms, latency.

    truth = read_ground_truth(Path("long.csv"))
    score = score_timeline("fight-lora", [WatchedVideo(name="long.mp4", spans=..., judged=..., events=...)])

Each video has its figures, and so have all of them together. `docs/timeline.md` has the rules.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vigil.events import Event
from vigil.files import write_json
from vigil.score.metrics import Interval, poisson, wilson
from vigil.score.timeline_classes import IncidentClasses, VerdictClasses, incident_classes, verdict_classes
from vigil.score.timeline_matching import (
    TOLERANCE_S,
    Detection,
    EventMatching,
    RatedWindows,
    WindowFigures,
    announced_s,
    found_by_chance,
    match_events,
    pool_windows,
    rate_windows,
    window_figures,
)
from vigil.score.timeline_truth import GroundTruth, TrueIncident, read_ground_truth
from vigil.verdict import JudgedWindow

HOUR_S = 3600.0
JOIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedVideo:
    """What a watch reported about one video, and the truth; `length_s` is None if only its windows give it."""

    name: str
    spans: tuple[TrueIncident, ...]
    judged: tuple[JudgedWindow, ...]
    events: tuple[Event, ...]
    length_s: float | None = None

    @property
    def seconds(self) -> float:
        """The length of the video."""
        return max([self.length_s or 0.0, *(one.end_s for one in self.judged)])

    @property
    def known_s(self) -> float:
        """The seconds covered by windows with a verdict."""
        known = sorted((one.start_s, one.end_s) for one in self.judged if one.verdict.cause is None)
        covered_s, until_s = 0.0, float("-inf")
        for start_s, end_s in known:
            # A window ends with its last frame, and the next one may begin with the frame after that.
            from_s = start_s if start_s > until_s + JOIN_S else until_s
            covered_s += max(0.0, end_s - from_s)
            until_s = max(until_s, end_s)
        return covered_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineFigures:
    """The figures of one video or of all; `hours` are those with verdicts, `length_h` the total length.

    `found_by_chance` is the share of incidents that the same events find at random times. Latencies run from the true
    onset to the announcement, over the incidents that were found.
    """

    videos: int
    length_h: float
    hours: float
    windows: int
    ambiguous: int
    unknown: dict[str, int]
    window: WindowFigures
    incidents: int
    found: int
    found_share: float | None
    found_ci95: Interval | None
    found_by_chance: float | None
    missed: int
    merged: int
    events: int
    false_alarms: int
    repeated: int
    false_per_hour: float | None
    false_per_hour_ci95: Interval | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    classes: IncidentClasses | None = None
    verdict_classes: VerdictClasses | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures as plain data; without classes where there are none."""
        told = asdict(self)
        return {name: value for name, value in told.items() if value is not None or not name.endswith("classes")}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoScore:
    """One video: its figures, and its matched events."""

    watched: WatchedVideo
    matching: EventMatching
    figures: TimelineFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineScore:
    """The score of a model over long videos."""

    model: str
    figures: TimelineFigures
    videos: tuple[VideoScore, ...]
    tolerance_s: float = TOLERANCE_S
    notes: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The score as plain data: the figures of all videos at the top level, each video with its events beside."""
        return {
            "model": self.model,
            **self.figures.to_json(),
            "tolerance_s": self.tolerance_s,
            "per_video": [_video_json(video) for video in self.videos],
            **self.notes,
        }

    def write(self, path: Path) -> None:
        """Writes the JSON file atomically."""
        write_json(path, self.to_json())


def score_timeline(
    model: str, videos: Sequence[WatchedVideo], *, tolerance_s: float = TOLERANCE_S, **notes: Any
) -> TimelineScore:
    """Scores what a watch reported about videos against their truth."""
    matchings = [match_events(video.spans, video.events, tolerance_s=tolerance_s) for video in videos]
    rated = [rate_windows(video.name, video.judged, video.spans) for video in videos]
    chance = [
        found_by_chance(video.spans, video.events, length_s=video.seconds, tolerance_s=tolerance_s) for video in videos
    ]
    scores = tuple(
        VideoScore(watched=video, matching=matching, figures=_figures([video], [matching], windows, by_chance))
        for video, matching, windows, by_chance in zip(videos, matchings, rated, chance, strict=True)
    )
    figures = _figures(videos, matchings, pool_windows(rated), sum(chance))
    return TimelineScore(model=model, figures=figures, videos=scores, tolerance_s=tolerance_s, notes=notes)


def _figures(
    videos: Sequence[WatchedVideo], matchings: Sequence[EventMatching], windows: RatedWindows, by_chance: float
) -> TimelineFigures:
    latencies = [find.latency_s for matching in matchings for find in matching.found]
    incidents, found = sum(len(video.spans) for video in videos), len(latencies)
    false = sum(len(matching.false) for matching in matchings)
    hours = sum(video.known_s for video in videos) / HOUR_S
    low, high = poisson(false)
    return TimelineFigures(
        videos=len(videos),
        length_h=sum(video.seconds for video in videos) / HOUR_S,
        hours=hours,
        windows=windows.n,
        ambiguous=windows.ambiguous,
        unknown=windows.unknown,
        window=window_figures(windows),
        incidents=incidents,
        found=found,
        found_share=found / incidents if incidents else None,
        found_ci95=wilson(found, incidents) if incidents else None,
        found_by_chance=by_chance / incidents if incidents else None,
        missed=sum(len(matching.missed) for matching in matchings),
        merged=sum(len(matching.merged) for matching in matchings),
        events=sum(len(video.events) for video in videos),
        false_alarms=false,
        repeated=sum(len(matching.repeated) for matching in matchings),
        false_per_hour=false / hours if hours else None,
        false_per_hour_ci95=(low / hours, high / hours) if hours else None,
        latency_p50_s=float(np.percentile(latencies, 50)) if latencies else None,
        latency_p95_s=float(np.percentile(latencies, 95)) if latencies else None,
        classes=incident_classes(matchings),
        verdict_classes=verdict_classes([(video.judged, video.spans) for video in videos]),
    )


def _video_json(video: VideoScore) -> dict[str, Any]:
    matching = video.matching
    return {
        "video": video.watched.name,
        **video.figures.to_json(),
        "found_events": [
            {
                **_span_json(find.span),
                "event": find.event.id,
                "latency_s": find.latency_s,
                **({"said": find.event.label} if find.event.label else {}),
            }
            for find in matching.found
        ],
        "missed_incidents": [_span_json(span) for span in matching.missed],
        "false_events": [_event_json(event) for event in matching.false],
        "repeated_events": [_event_json(event) for event in matching.repeated],
    }


def _span_json(span: TrueIncident) -> dict[str, Any]:
    label = {"label": span.label} if span.label else {}
    return {"onset_s": span.onset_s, "end_s": span.end_s, **label}


def _event_json(event: Event) -> dict[str, Any]:
    return {
        "event": event.id,
        "onset_s": event.onset_s,
        "end_s": event.end_s,
        "announced_s": announced_s(event),
        "peak": event.peak,
        "tier": str(event.tier),
        **({"label": event.label} if event.label else {}),
    }


__all__ = [
    "TOLERANCE_S",
    "Detection",
    "EventMatching",
    "GroundTruth",
    "TimelineScore",
    "TrueIncident",
    "VideoScore",
    "WatchedVideo",
    "match_events",
    "read_ground_truth",
    "score_timeline",
]
