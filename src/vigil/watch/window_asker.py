"""Asks all questions of a source about a window: the task's own first and the others right behind it, follow-ups last.

The pictures stand before the question, so a server with a prefix cache computes them with the first question alone;
what arrives together is also computed together. `benchmarks/questions.py` measures what the others cost.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from vigil.errors import UsageError
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.questions import Question
from vigil.rules.camera_tasks import AskedQuestion
from vigil.verdict import Answer, Cause, WindowAnswers
from vigil.watch.live_rules import LiveRules
from vigil.watch.request_places import RequestPlace, RequestPlaces
from vigil.watch.state import SourceState
from vigil.watch.task_calibrations import TaskCalibrations
from vigil.windows import Window

log = logging.getLogger(__name__)


class WindowAsker:
    """Asks a judge, through its circuit breaker, what the rules of a source need to know of a window.

    Every request holds a place (`RequestPlaces`). A question that the model's vocabulary cannot answer is unknown and
    told in the source's state; it takes no other question with it. `calibrations` are those of questions beside the
    task's own.
    """

    def __init__(self, breaker: CircuitBreaker, *, own: Question, calibrations: TaskCalibrations) -> None:
        self._breaker = breaker
        self._own = own
        self._calibrations = calibrations
        self._refused: dict[str, str] = {}

    async def ask(
        self,
        window: Window,
        question: Question,
        rules: LiveRules,
        state: SourceState,
        *,
        place: RequestPlace,
        places: RequestPlaces,
        wait_s: float = 0.0,
    ) -> WindowAnswers:
        """The answers about a window: to the task's own `question`, as it is put now, and to the others of the rules.

        `place` is held for the first request and given back after it; questions that follow no other are sent beside it
        as far as there are places. `wait_s` is how long each question waits for a server that is away.
        """
        rounds, questions, tiers = rules.rounds, rules.questions, rules.tiers
        alone = [each for asked in rounds for each in asked if each.ask_when is None]
        # The first is started first: it has its place, the others wait for theirs.
        own, *found = await asyncio.gather(
            self._ask_own(window, question, place, wait_s),
            *(self._ask_in_turn(window, each, {}, questions, places, wait_s) for each in alone),
        )
        answers = {self._own.name: own, **{each.question: each for each in found}}
        for asked in rounds:
            found = await asyncio.gather(
                *(
                    self._ask_in_turn(window, each, answers, questions, places, wait_s)
                    for each in asked
                    if each.ask_when is not None
                )
            )
            answers |= {each.question: each for each in found}
        answers = {name: answers[name] for name in (self._own.name, *_names(rounds))}
        state.refused_questions = tuple(self._refused[name] for name in questions if name in self._refused)
        return WindowAnswers(own.verdict(self._own, alarm_from=tiers.low), answers)

    async def _ask_own(self, window: Window, question: Question, place: RequestPlace, wait_s: float) -> Answer:
        """The answer to the task's own question, which gives its place back."""
        try:
            answer = await self._breaker.ask(window, question, wait_s=wait_s)
        finally:
            place.give_back()
        return replace(answer, question=self._own.name)

    async def _ask_in_turn(
        self,
        window: Window,
        asked: AskedQuestion,
        before: Mapping[str, Answer],
        questions: Mapping[str, Question],
        places: RequestPlaces,
        wait_s: float,
    ) -> Answer:
        """The answer to a question; one that is not called for is not sent."""
        question = asked.question
        called_for = asked.is_called_for(before, questions)
        if called_for is None:
            answer = Answer.unknown(Cause.SKIPPED, detail="the question that it follows has no answer")
        elif not called_for:
            answer = Answer.unknown(Cause.NOT_ASKED)
        else:
            async with places.held():
                answer = await self._send(window, question, wait_s)
        return replace(answer, question=question.name, start_s=window.start_s, end_s=window.end_s)

    async def _send(self, window: Window, question: Question, wait_s: float) -> Answer:
        try:
            answer = await self._breaker.ask(window, question, wait_s=wait_s)
        except UsageError as error:
            if question.name not in self._refused:
                log.error("%s; it counts as unknown", error)
            self._refused[question.name] = str(error)
            return Answer.unknown(Cause.REJECTED, detail=str(error))
        self._refused.pop(question.name, None)
        return self._calibrations.applied(answer, question)


def _names(rounds: Iterable[Iterable[AskedQuestion]]) -> Iterator[str]:
    """The names of the questions beside the task's own, in the order of their rounds."""
    return (asked.question.name for each in rounds for asked in each)
