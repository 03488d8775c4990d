"""Scoring: how good a served model is on labelled clips, with an interval and a baseline beside every figure."""

from vigil.score.combine import Prediction, combine, per_clip, per_window
from vigil.score.compare import ModelComparison, compare_scores
from vigil.score.items import EvalClip, EvalWindow, dataset_clips
from vigil.score.journal import Journal, JournalEntry
from vigil.score.run import ScoreRun
from vigil.score.scorecard import Score, ScoreFigures, figures
from vigil.score.videos import video_clips

__all__ = [
    "Prediction",
    "EvalClip",
    "ModelComparison",
    "ScoreFigures",
    "Journal",
    "JournalEntry",
    "ScoreRun",
    "EvalWindow",
    "Score",
    "combine",
    "compare",
    "dataset_clips",
    "figures",
    "per_clip",
    "per_window",
    "video_clips",
]
