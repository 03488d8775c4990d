"""Scoring: how good a served model is on labelled clips, with an interval and a baseline for every figure."""

from vigil.score.eval_set import EvalClip, EvalWindow, dataset_clips, video_clips
from vigil.score.journal import Journal, JournalEntry
from vigil.score.predictions import Prediction, combine, per_clip, per_window
from vigil.score.run import ScoreRun
from vigil.score.scorecard import ModelComparison, Score, ScoreFigures, compare_scores, figures

__all__ = [
    "EvalClip",
    "EvalWindow",
    "Journal",
    "JournalEntry",
    "ModelComparison",
    "Prediction",
    "Score",
    "ScoreFigures",
    "ScoreRun",
    "combine",
    "compare_scores",
    "dataset_clips",
    "figures",
    "per_clip",
    "per_window",
    "video_clips",
]
