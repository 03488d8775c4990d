"""Scoring against time: long videos with known onsets, as `vigil score --timeline` does.

truth = read_truth(Path("long.csv"))
score = score_timeline("fight-lora", [Watched(name="long.mp4", spans=..., judged=..., events=...)])
"""

from vigil.score.timeline.events import TOLERANCE_S, Detection, EventMatching, match_events
from vigil.score.timeline.scorecard import TimelineScore, VideoScore, WatchedVideo, score_timeline
from vigil.score.timeline.truth import GroundTruth, TrueIncident, read_ground_truth

__all__ = [
    "TOLERANCE_S",
    "Detection",
    "EventMatching",
    "TrueIncident",
    "TimelineScore",
    "GroundTruth",
    "VideoScore",
    "WatchedVideo",
    "match_events",
    "read_ground_truth",
    "score_timeline",
]
