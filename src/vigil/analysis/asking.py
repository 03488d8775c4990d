"""Opens the judge of an analysis: for verdicts if the question has verdict words, else for descriptions of windows."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from vigil.frames import FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.judge.answer_parser import LabelTokens
from vigil.judge.contract import served_sampling, with_description
from vigil.judge.discovery import ServedModel
from vigil.manifest import MODEL_DIR_ADVICE, Answers, calibration_in, read_manifest
from vigil.questions import Question, Task
from vigil.verdict import Cause, Verdict
from vigil.watch.settings import WatchSettings

WORDS_DEADLINE_S = 60.0
NO_WORDS = ("是的", "没有")
"""Placeholders for the verdict words of a question that has none; they are never looked for."""


class WordsJudge(Judge):
    """Describes every window; its result is never a verdict, least of all `normal`.

    If the model is an adapter that was trained on verdicts alone, its base is asked.
    """

    max_tokens: ClassVar[int] = 200
    reads_words: ClassVar[bool] = False

    @classmethod
    async def find_words(
        cls, endpoint: Endpoint, task: Task, model: ServedModel, *, before: LabelTokens | None = None
    ) -> LabelTokens:
        """The words without tokens: probabilities are not needed, so they must not cost a request."""
        return LabelTokens(texts=task.words())

    @classmethod
    def roles(cls, model: ServedModel, answers: Answers) -> tuple[str, str]:
        """The describer alone, if there is one: there is no verdict to ask for."""
        return model.describer(answers) or model.name, ""

    async def verdict(self, jpegs: Sequence[bytes], *, start_s: float = 0.0, end_s: float = 0.0) -> Verdict:
        """The description of a window as an `unknown: words_only`; an endpoint fault keeps its own cause."""
        said = await self.describe(
            jpegs, start_s=start_s, end_s=end_s, max_tokens=self.max_tokens, describe_normal=True
        )
        if not said.text:
            return said if said.cause else Verdict.unknown(Cause.UNPARSEABLE, detail="the answer is empty")
        words = Verdict.unknown(Cause.WORDS_ONLY, start_s=start_s, end_s=end_s, detail=said.detail)
        return replace(words, text=said.text, latency_ms=said.latency_ms, tokens=said.tokens)


def asks_for_verdict(question: Question) -> bool:
    """Whether the answer begins with a verdict: the question, perhaps edited, contains both of its words."""
    task = question.task
    return task is not None and (
        question.question == task.question
        or all(word in question.question for word in (task.alarm_word, task.normal_word))
    )


def task_for(question: Question) -> Task:
    """The question as a task for the judge."""
    if question.task is not None and asks_for_verdict(question):
        return replace(question.task, question=question.question)
    alarm, normal = NO_WORDS
    return Task(name=question.name, question=question.question, alarm_word=alarm, normal_word=normal)


async def open_judge(endpoint: Endpoint, question: Question, settings: WatchSettings) -> Judge:
    """A judge for one analysis, under the served model's own contract; raises EndpointError and UsageError."""
    manifest = None if settings.model_dir is None else read_manifest(settings.model_dir, advice=MODEL_DIR_ADVICE)
    sampling = manifest.contract.sampling if manifest else await served_sampling(endpoint) or FrameSampling()
    for_verdict = asks_for_verdict(question)
    kind = Judge if for_verdict else WordsJudge
    task = task_for(question)
    if manifest is not None:
        task = with_description(task, manifest.contract)
    return await kind.connect(
        endpoint,
        task,
        sampling if settings.max_pixels is None else replace(sampling, max_pixels=settings.max_pixels),
        read_calibration=partial(calibration_in, settings.model_dir),
        answers="words" if manifest is None else manifest.contract.answers,
        deadline_s=settings.deadline_s if for_verdict else WORDS_DEADLINE_S,
        min_mass=settings.min_mass if for_verdict else 0.0,
        max_in_flight=settings.in_flight + settings.describe_in_flight,
        retries=0,
        answer_tokens=settings.describe_tokens if for_verdict else WordsJudge.max_tokens,
        alarm_from=settings.tiers.low,
    )
