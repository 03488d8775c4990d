"""Questions to the past: what a store has of a time and a place, and a model's answer that cites it (docs/ask.md)."""

from vigil.history.answer import HistoryAnswer, answer_question, whole_answer
from vigil.history.question import HistoryQuestion, read_question
from vigil.history.records import FoundRecords, HistoryRecord, find_records

__all__ = [
    "FoundRecords",
    "HistoryAnswer",
    "HistoryQuestion",
    "HistoryRecord",
    "answer_question",
    "find_records",
    "read_question",
    "whole_answer",
]
