"""The questions that one camera is asked beside the watch's own, each with a rule of its own.

    tasks = (CameraTask(question="smoke"), CameraTask(ask="有人翻越围栏吗"))
    for task in resolve_tasks(tasks, own=load_question("fight")).tasks:
        print(task.question.text, task.rule.name)

A task names a question of a file, or makes one of a sentence. A follow-up (`ask_when`) is asked only of windows in
which the answer to another question calls for it; of the others it counts as answered with none of its labels.
"""

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from vigil.config import find_config
from vigil.errors import ConfigError, UsageError
from vigil.questions import ALARM, Question, load_question
from vigil.rules.condition import Term
from vigil.rules.hysteresis import HysteresisSettings
from vigil.rules.rule import answer_probability
from vigil.sentence_question import question_from_sentence, short_name
from vigil.verdict import Answer

MOST_TASKS = 16
LONGEST_QUESTION_NAME = 1000
LONGEST_TASK_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraTask:
    """One question of a camera: that of a file (`question`), or one made of a sentence (`ask`).

    `question` is a name in `configs/tasks` or a path. `name` is that of its rule, by default the question's name or the
    sentence. `ask_when` makes it a follow-up to the question that the term names: another task, or the watch's own if
    it names none. Raises UsageError for what cannot be asked.
    """

    question: str = ""
    ask: str = ""
    name: str = ""
    ask_when: Term | None = None

    def __post_init__(self) -> None:
        if bool(self.question.strip()) == bool(self.ask.strip()):
            raise UsageError("a task has either a question (a name in configs/tasks or a file) or a sentence to ask")
        for what, text, longest in (
            ("question", self.question, LONGEST_QUESTION_NAME),
            ("name", self.name, LONGEST_TASK_NAME),
        ):
            if len(text) > longest or not text.isprintable():
                raise UsageError(f"the {what} of a task has at most {longest} characters, all of them printable")
        if self.ask:
            question_from_sentence(self.ask)

    def load(self) -> Question:
        """The question; raises ConfigError or UsageError if its file cannot be used."""
        if self.ask:
            return question_from_sentence(self.ask)
        path = find_config("tasks", self.question)
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError as error:
            raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
        return _read(path, changed_ns)


@lru_cache(maxsize=256)
def _read(path: Path, changed_ns: int) -> Question:
    """The question of a file, which pages ask for every few seconds; read again once the file has changed."""
    return load_question(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedQuestion:
    """A question that is asked of windows; with `ask_when`, only after such an answer to the question it names."""

    question: Question
    ask_when: Term | None = None

    def is_called_for(self, answers: Mapping[str, Answer], questions: Mapping[str, Question]) -> bool | None:
        """Whether to ask it after these answers, by question; None if the answer that decides is unknown."""
        term = self.ask_when
        if term is None:
            return True
        answer = answers.get(term.question)
        known = [] if answer is None else [answer_probability(answer, each) for each in _labels(term, questions)]
        if not known or any(p is None for p in known):
            return None
        return (sum(p for p in known if p is not None) >= term.p_from) is term.holds


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedTask(AskedQuestion):
    """A task with its question and its rule; the term of `ask_when` names the question as the answers do."""

    task: CameraTask
    rule: HysteresisSettings


@dataclass(frozen=True, slots=True)
class ResolvedTasks:
    """The tasks of a camera that can be asked, in an order in which follow-ups come later, and what is wrong."""

    tasks: tuple[ResolvedTask, ...] = ()
    problems: tuple[str, ...] = ()


def resolve_tasks(
    tasks: Sequence[CameraTask], *, own: Question | None = None, taken: Sequence[str] = ()
) -> ResolvedTasks:
    """The tasks with their questions and rules; a task that does not fit is left out and told in `problems`.

    `own` is the watch's own question, None while it is not known. No task may have one of the names in `taken`, which
    are those of the watch's rules.
    """
    found: dict[str, ResolvedTask] = {}
    problems: list[str] = []
    names = Counter(taken)
    for task in tasks:
        try:
            resolved = _resolved(task, found, own)
            names[resolved.rule.name] += 1
            if names[resolved.rule.name] > 1:
                raise UsageError("there is a rule of that name already; give the task a name of its own")
        except (UsageError, ConfigError) as error:
            problems.append(f"the task {short_name(task.name or task.ask or task.question)!r}: {error}")
            continue
        found[resolved.question.name] = resolved
    return ResolvedTasks(tuple(found.values()), tuple(problems))


def _resolved(task: CameraTask, before: Mapping[str, ResolvedTask], own: Question | None) -> ResolvedTask:
    question = task.load()
    if own is not None and question.name == own.name:
        raise UsageError("it is the watch's own question, which every camera is asked anyway")
    if question.name in before:
        raise UsageError("it is there already")
    name = task.name.strip() or (short_name(question.title) if task.ask else question.name)
    rule = HysteresisSettings(name=name, question=question.name, labels=question.alarm_labels)
    return ResolvedTask(question=question, task=task, rule=rule, ask_when=_follows(task, before, own))


def _follows(task: CameraTask, before: Mapping[str, ResolvedTask], own: Question | None) -> Term | None:
    """The term of a follow-up with the name of the question; raises UsageError if that is not asked before it."""
    term = task.ask_when
    if term is None:
        return None
    if not term.question or (own is not None and term.question == own.name):
        _require_label(term, own)
        return replace(term, question="" if own is None else own.name)
    followed = [each for each in before.values() if term.question in (each.question.name, each.rule.name)]
    if not followed:
        known = [name for each in before.values() for name in (each.rule.name, each.question.name)]
        near = difflib.get_close_matches(term.question, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "name a task before it, or none for the watch's own question"
        raise UsageError(f"ask_when is about {term.question!r}, which is not asked before it; {hint}")
    _require_label(term, followed[0].question)
    return replace(term, question=followed[0].question.name)


def _require_label(term: Term, question: Question | None) -> None:
    if question is not None and term.label != ALARM and term.label not in question.words():
        labels = ", ".join(question.words())
        raise UsageError(f"ask_when is about a label {term.label!r}; the labels of {question.name} are: {labels}")


def _labels(term: Term, questions: Mapping[str, Question]) -> Sequence[str]:
    """The labels that a term is about: `alarm` is all of the question that are alarms, unless one is called so."""
    question = questions.get(term.question)
    if question is None or term.label in question.words():
        return (term.label,)
    return question.alarm_labels


def rounds_of(questions: Sequence[AskedQuestion]) -> Iterator[tuple[AskedQuestion, ...]]:
    """The questions in rounds: those of one are asked side by side, follow-ups in the round after what they follow."""
    of_round: dict[str, int] = {}
    for asked in questions:
        followed = "" if asked.ask_when is None else asked.ask_when.question
        of_round[asked.question.name] = of_round.get(followed, -1) + 1
    for number in range(max(of_round.values(), default=-1) + 1):
        yield tuple(asked for asked in questions if of_round[asked.question.name] == number)
