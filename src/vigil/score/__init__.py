"""Scoring: how good a served model is on labelled clips, with an interval and a baseline beside every figure."""

from vigil.score.combine import Answer, combine, per_clip, per_window
from vigil.score.compare import Comparison, compare
from vigil.score.items import Clip, Sample, dataset_clips
from vigil.score.journal import Journal, Record
from vigil.score.run import Run
from vigil.score.scorecard import Figures, Score, figures
from vigil.score.videos import video_clips

__all__ = [
    "Answer",
    "Clip",
    "Comparison",
    "Figures",
    "Journal",
    "Record",
    "Run",
    "Sample",
    "Score",
    "combine",
    "compare",
    "dataset_clips",
    "figures",
    "per_clip",
    "per_window",
    "video_clips",
]
