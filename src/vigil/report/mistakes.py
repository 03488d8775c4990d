"""The HTML page of the worst mistakes: the clips the model was most certain about and wrong, with their frames.

It is one self-contained file, so that it can be sent to the people who label the clips. Unknown clips come last.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader

from vigil.calibration import logit
from vigil.errors import VigilError
from vigil.files import write_atomically
from vigil.score.eval_set import EvalClip, EvalWindow
from vigil.score.journal import JournalEntry
from vigil.score.predictions import Prediction, probability
from vigil.score.scorecard import Score, predicted_alarm

MOST_SHOWN = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One clip as the page shows it: the frames of its worst window as data URLs."""

    answer: Prediction
    verdict: str
    window: JournalEntry | None
    frames: tuple[str, ...]
    note: str = ""


def write_mistakes(path: Path, score: Score, clips: Sequence[EvalClip], records: Sequence[JournalEntry]) -> Path:
    """Writes the page; frames that can no longer be read are left out with a note."""
    wrong = worst_first(score)
    page = _environment().get_template("mistakes.html.j2")
    html = page.render(
        score=score,
        mistakes=list(_shown(wrong[:MOST_SHOWN], score, clips, records)),
        wrong=len(wrong),
        unknown=sum(score.figures.unknown.values()),
    )
    write_atomically(path, html)
    return path


def worst_first(score: Score) -> list[Prediction]:
    """The clips without a right answer: the most certain mistakes first, unknowns last."""
    wrong = [answer for answer in score.answers if not answer.is_right(threshold=score.threshold)]
    return sorted(wrong, key=_wrongness, reverse=True)


def _wrongness(answer: Prediction) -> float:
    if answer.p_alarm is None:
        return float("-inf")
    if answer.probabilities:
        return logit(max(answer.probabilities.values()))
    return -logit(answer.p_alarm) if answer.is_alarm else logit(answer.p_alarm)


def _environment() -> Environment:
    return Environment(loader=PackageLoader("vigil.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _shown(
    wrong: Sequence[Prediction], score: Score, clips: Sequence[EvalClip], records: Sequence[JournalEntry]
) -> Iterable[Mistake]:
    clip_of = {clip.name: clip for clip in clips}
    for answer in wrong:
        window = _decisive([record for record in records if record.clip == answer.clip])
        frames, note = _frames(clip_of[answer.clip], window)
        verdict = predicted_alarm(answer, threshold=score.threshold)
        outcome = answer.said or ("unknown" if verdict is None else "alarm" if verdict else "normal")
        yield Mistake(answer=answer, verdict=outcome, window=window, frames=frames, note=note)


def _decisive(records: Sequence[JournalEntry]) -> JournalEntry | None:
    """The window with the highest probability, which decided, whether for a false alarm or a miss."""
    return max(records, key=lambda record: probability(record) or 0.0, default=None)


def _frames(clip: EvalClip, window: JournalEntry | None) -> tuple[tuple[str, ...], str]:
    if window is None:
        return (), "no window was asked"
    try:
        sample = next((s for s in clip.windows() if s.window == window.window), None)
    except VigilError as error:
        return (), str(error)
    return (_addresses(sample), "") if sample else ((), "the window is no longer there")


def _addresses(sample: EvalWindow) -> tuple[str, ...]:
    return tuple(f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" for jpeg in sample.jpegs)
