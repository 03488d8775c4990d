"""Scoring against time: long videos with known onsets, as `vigil score --timeline` does.

truth = read_truth(Path("long.csv"))
score = score_timeline("fight-lora", [Watched(name="long.mp4", spans=..., judged=..., events=...)])
"""

from vigil.score.timeline.events import TOLERANCE_S, Find, Matching, match
from vigil.score.timeline.scorecard import TimelineScore, VideoScore, Watched, score_timeline
from vigil.score.timeline.truth import Span, Truth, read_truth

__all__ = [
    "TOLERANCE_S",
    "Find",
    "Matching",
    "Span",
    "TimelineScore",
    "Truth",
    "VideoScore",
    "Watched",
    "match",
    "read_truth",
    "score_timeline",
]
