"""Compares wordings of a question on the same labelled clips: each one's ROC AUC, and its difference to the old one's.

    candidates, refused = read_candidates(Path("wordings.txt"), old=load_question("fight"))
    tuned = rank([TriedQuestion(question=old, score=...), *others])
    tuned[0].question.text

The best of several wordings looks better on the clips that chose it than it is: score it on others afterwards.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.errors import UsageError
from vigil.questions import Question
from vigil.score.eval_set import EvalSet
from vigil.score.predictions import Prediction
from vigil.score.run import ScoreSettings
from vigil.score.scorecard import ModelComparison, ScoreFigures, compare_scores, figures
from vigil.sentence_question import with_answers
from vigil.special_tokens import special_token_in

MOST_CANDIDATES = 50
LONGEST_CANDIDATE = 2000
FILE_BYTES = 1_000_000


def read_candidates(path: Path, *, old: Question) -> tuple[list[Question], list[str]]:
    """The wordings in a text file, one a line (`#` starts a comment), and why others cannot be asked.

    Raises UsageError if the file cannot be read, or holds none or too many.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8; it should hold one wording of the question a line") from error
    if len(data) > FILE_BYTES:
        raise UsageError(f"{path} is too long; it should hold one wording of the question a line")
    texts = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    candidates, refused = candidates_of(texts, old=old)
    if not candidates:
        why = f" ({'; '.join(refused)})" if refused else ""
        raise UsageError(f"{path} holds no wording that can be asked{why}; write one a line")
    return candidates, refused


def candidates_of(texts: Iterable[str], *, old: Question) -> tuple[list[Question], list[str]]:
    """The questions with these texts and the labels of the old one, and why others cannot be asked.

    A text that does not name the words of the answers gets a sentence that does. The old text and repetitions are left
    out. Raises UsageError for more than 50.
    """
    found: dict[str, Question] = {}
    refused: list[str] = []
    for text in texts:
        if problem := _problem(text):
            refused.append(f"{_short(text)!r} {problem}")
            continue
        whole = text if all(word in text for word in old.words().values()) else _answered(text, old)
        if whole != old.text:
            found.setdefault(whole, replace(old, text=whole))
    if len(found) > MOST_CANDIDATES:
        raise UsageError(f"{len(found)} wordings are more than {MOST_CANDIDATES}; each is asked about every clip")
    return list(found.values()), refused


def _problem(text: str) -> str:
    """Why a text cannot be a question; empty if it can."""
    if len(text) > LONGEST_CANDIDATE:
        return f"has {len(text)} characters; {LONGEST_CANDIDATE} are the most"
    if not text.isprintable():
        return "has control characters"
    token = special_token_in(text)
    return f"contains {token!r}, which means something to the model" if token else ""


def _answered(text: str, old: Question) -> str:
    mark = "" if text[-1].isascii() is False or text.endswith(" ") else " "
    return with_answers(f"{text}{mark}", alarm=old.alarm_word, normal=old.normal_word)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedQuestion:
    """A wording, the answers to it, one per clip, and how it compares with the old one (None for the old one).

    The figures count the `unknown` clips, about which it got no answer, as answered wrongly with certainty: a wording
    that is answered seldom would look good otherwise.
    """

    question: Question
    answers: tuple[Prediction, ...]
    figures: ScoreFigures
    unknown: int = 0
    comparison: ModelComparison | None = None

    @classmethod
    def of(cls, question: Question, answers: Sequence[Prediction], *, threshold: float) -> "TriedQuestion":
        """A wording with these answers."""
        counted = tuple(
            replace(each, p_alarm=float(not each.is_alarm), cause=None) if each.p_alarm is None else each
            for each in answers
        )
        unknown = sum(each.p_alarm is None for each in answers)
        shown = figures(counted, threshold=threshold)
        return cls(question=question, answers=counted, figures=shown, unknown=unknown)

    @property
    def roc_auc(self) -> float:
        """Its ROC AUC; 0 if there are clips of one class alone."""
        return self.figures.roc_auc or 0.0


def rank(old: TriedQuestion, others: Sequence[TriedQuestion], *, threshold: float) -> list[TriedQuestion]:
    """All wordings, the one with the highest ROC AUC first (of equals the old one), each compared with the old one."""
    compared = [
        replace(other, comparison=compare_scores(("old", old.answers), ("new", other.answers), threshold=threshold))
        for other in others
    ]
    return sorted([old, *compared], key=lambda tried: -tried.roc_auc)


def try_digest(question: Question, eval_set: EvalSet, *, url: str, model: str, settings: ScoreSettings) -> str:
    """16 hex digits of everything that the answers to a wording depend on, but for the pictures of the clips."""
    parts = [
        url,
        model,
        question.text,
        question.words(),
        eval_set.sampling.as_json(),
        settings.rule,
        settings.min_label_probability,
        [(clip.name, clip.label, clip.group) for clip in eval_set.clips],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
