"""Calibrates the questions that are made of sentences on the marks of their events, as soon as there are enough.

The model was never trained on such a question, so its probability orders windows but means little by itself. People
who mark events as true or as false alarms tell what it means: from 20 marks of both kinds on, temperature and bias are
fitted on them (Platt scaling, `vigil.calibration`), and again with every further mark. An event counts once, by the
mean log-odds of its windows as the model gave them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from vigil.calibration import MIN_CLIPS, fit_calibration, logit, sigmoid
from vigil.errors import StoreError
from vigil.judge.verdict_reader import calibrated_probabilities
from vigil.manifest import Calibration
from vigil.questions import Question
from vigil.store import Store
from vigil.verdict import Answer

log = logging.getLogger(__name__)

MARKS_NEEDED = MIN_CLIPS
READ_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkCalibration:
    """How many events of a question are marked as true and as false alarms, and the calibration fitted on them.

    Without `MARKS_NEEDED` marks, or with marks of one kind alone, there is none.
    """

    true_events: int = 0
    false_alarms: int = 0
    calibration: Calibration | None = None

    @property
    def marks(self) -> int:
        """The number of marks that count."""
        return self.true_events + self.false_alarms

    def told(self) -> str:
        """Whether the question is calibrated, and on what."""
        said = f"{self.marks} marks ({self.true_events} true, {self.false_alarms} false alarms)"
        if self.calibration is not None:
            return f"calibrated on {said}"
        return f"not calibrated: {said}; it takes {MARKS_NEEDED}, of both kinds"


def fit_marks(is_true: Mapping[str, bool], p_raw: Mapping[str, tuple[float, ...]]) -> MarkCalibration:
    """The calibration of marked events, by id, with the raw probabilities of their windows."""
    known = {event_id: true for event_id, true in is_true.items() if p_raw.get(event_id)}
    true = sum(known.values())
    counted = MarkCalibration(true_events=true, false_alarms=len(known) - true)
    if counted.marks < MARKS_NEEDED or not counted.true_events or not counted.false_alarms:
        return counted
    typical = [sigmoid(fmean(map(logit, p_raw[event_id]))) for event_id in known]
    return replace(counted, calibration=fit_calibration(typical, list(known.values())))


class TaskCalibrations:
    """The calibrations of a watch's questions made of sentences, for answers of one model; for one event loop.

    Without a store nothing is calibrated.
    """

    def __init__(self, store: Store | None, *, model: str) -> None:
        self._store = store
        self._model = model
        self._marks: dict[str, dict[str, bool]] = {}
        self._found: dict[str, MarkCalibration] = {}

    def of(self, question: str) -> MarkCalibration | None:
        """What is known of a question, by its name; None while its marks have not been read."""
        return self._found.get(question)

    def applied(self, answer: Answer, question: Question) -> Answer:
        """The answer with calibrated probabilities, if its question is calibrated."""
        found = self._found.get(question.name)
        if found is None or found.calibration is None or not answer.raw_probabilities:
            return answer
        calibrated = calibrated_probabilities(answer.raw_probabilities, question, found.calibration)
        return replace(answer, probabilities=calibrated)

    async def follow(self, questions: Callable[[], Mapping[str, Question]]) -> None:
        """Reads the marks of what `questions` returns again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(READ_AGAIN_S)
            await self.update(questions())

    async def update(self, questions: Mapping[str, Question]) -> None:
        """Reads the marks of these questions, and fits the calibration of those that have new ones."""
        if self._store is None:
            return
        for question in questions.values():
            try:
                fitted = await asyncio.to_thread(self._fit, self._store, question.name)
            except StoreError as error:
                log.warning("the marks of %r cannot be read: %s", question.title, error)
                continue
            if fitted is not None:
                self._found[question.name] = fitted
                log.info("the question %r is %s", question.title, fitted.told())

    def _fit(self, store: Store, question: str) -> MarkCalibration | None:
        """The calibration of a question; None if nothing has changed since the last time."""
        marked = store.marks.of_question(question, model=self._model)
        if marked == self._marks.get(question):
            return None
        fitted = fit_marks(marked, store.marks.uncalibrated(list(marked)))
        self._marks[question] = marked
        return fitted
