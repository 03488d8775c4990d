"""Questions about a window, and the labels that answer them.

A question with labels is answered by the word of one of them, and every label gets a probability; a question without
labels is answered by a text. Both are YAML files in `configs/tasks`, one question a file:

    alarm_word: "Yes"          # two labels, `alarm` and `normal`, in short
    normal_word: "No"

    labels:                    # any number of labels
      - {name: fall, word: Fall, is_alarm: true, folders: [fall, falls]}
      - {name: normal, word: Normal, folders: [normal]}

`load_question("fight")` loads a question by name or path; `list_questions()` returns all of them.
"""

import unicodedata
from collections.abc import Container, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeAlias

import yaml

from vigil.answer_schema import AnswerSchema
from vigil.config import config_root, find_config, from_mapping, read_yaml
from vigil.errors import ConfigError, UsageError
from vigil.file_names import readable

LabelName: TypeAlias = str
"""The name of a label: `alarm` or `normal` if a question has two labels, any names if it has others."""

ALARM: LabelName = "alarm"
NORMAL: LabelName = "normal"

TEXT_TOKENS = 200
"""The maximum length of the answer to a question without labels, unless the question has a limit of its own."""

DESCRIBE_ZH = "请详细描述画面中的场景、人物和发生的事情。"
DESCRIBE_EN = "Describe the scene, the people and what happens, in detail."
"""For questions without a `describe` of their own; the presets describe.yaml and describe_en.yaml use the same text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One possible answer to a question: its name, the word that answers it, and the folders of its clips.

    An answer with an `is_alarm` label is an alarm.
    """

    name: str
    word: str
    is_alarm: bool = False
    folders: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about a window and its possible answers, the labels; without labels, the answer is a text.

    `describe` asks for a description if the model was trained to answer with the label word alone. A text has at most
    `answer_tokens` tokens; with a `schema` the server holds it to JSON of that form. Raises ConfigError for labels that
    are not distinct.
    """

    name: str
    text: str
    labels: tuple[Label, ...] = ()
    describe: str = ""
    title: str = ""
    language: str = "zh"
    system_prompt: str = ""
    schema: AnswerSchema[Any] | None = None
    answer_tokens: int = TEXT_TOKENS

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(f"task {self.name!r}", problems)

    @classmethod
    def with_two_labels(
        cls,
        *,
        name: str,
        text: str,
        alarm_word: str,
        normal_word: str,
        alarm_folders: tuple[str, ...] = ("alarm",),
        normal_folders: tuple[str, ...] = ("normal",),
        alarm_descriptions: tuple[str, ...] = (),
        normal_descriptions: tuple[str, ...] = (),
        **more: Any,
    ) -> Self:
        """The question that is answered by one word for an alarm and by another for anything else."""
        alarm = Label(
            name=ALARM, word=alarm_word, is_alarm=True, folders=alarm_folders, descriptions=alarm_descriptions
        )
        normal = Label(name=NORMAL, word=normal_word, folders=normal_folders, descriptions=normal_descriptions)
        return cls(name=name, text=text, labels=(alarm, normal), **more)

    def _problems(self) -> list[str]:
        problems = []
        if not self.text.strip():
            problems.append("question is empty")
        if self.labels:
            problems += _problems_of_labels(self.labels)
        return problems

    @property
    def has_two_labels(self) -> bool:
        """Whether its labels are `alarm` and `normal`; answers then say one or the other, and no class."""
        return {label.name for label in self.labels} == {ALARM, NORMAL}

    def require_labels(self) -> None:
        """Raises UsageError for a question without labels, of which there are no datasets and no scores."""
        if not self.labels:
            raise UsageError(
                f"task {self.name!r} has no labels; datasets and scores need them: alarm_word and normal_word, or "
                "labels (docs/questions.md)"
            )

    @property
    def alarm_labels(self) -> tuple[str, ...]:
        """The names of the labels that are alarms."""
        return tuple(label.name for label in self.labels if label.is_alarm)

    def is_alarm(self, label: LabelName) -> bool:
        """Whether an answer with this label is an alarm; raises ConfigError if there is no such label."""
        return self.label(label).is_alarm

    def lacks(self, present: Container[LabelName]) -> list[LabelName]:
        """The labels that are not among these, in the order of the question."""
        return [label.name for label in self.labels if label.name not in present]

    def is_learnable(self, present: Container[LabelName]) -> bool:
        """Whether clips of these labels teach a difference: one label that alarms is present, and one that does not."""
        return len({label.is_alarm for label in self.labels if label.name in present}) == 2

    @property
    def alarm_word(self) -> str:
        """The word of the label `alarm`; raises ConfigError if there is none."""
        return self.word(ALARM)

    @property
    def normal_word(self) -> str:
        """The word of the label `normal`; raises ConfigError if there is none."""
        return self.word(NORMAL)

    def word(self, label: str) -> str:
        """The word that begins an answer with this label."""
        return self.label(label).word

    def label(self, name: str) -> Label:
        """The label of this name; raises ConfigError if there is none."""
        found = next((label for label in self.labels if label.name == name), None)
        if found is None:
            known = ", ".join(label.name for label in self.labels) or "none"
            raise ConfigError(f"task {self.name!r}", [f"there is no label {name!r}; its labels are: {known}"])
        return found

    @property
    def description_question(self) -> str:
        """The question whose answer is a description and nothing else."""
        return self.describe.strip() or (DESCRIBE_ZH if self.language.startswith("zh") else DESCRIBE_EN)

    def words(self) -> dict[str, str]:
        """The word of each label."""
        return {label.name: label.word for label in self.labels}

    def reworded(self, text: str) -> Self:
        """The question with another text; without its labels unless the text still names the word of each."""
        is_answerable = text == self.text or all(label.word in text for label in self.labels)
        return replace(self, text=text, labels=self.labels if is_answerable else ())

    def label_of(self, folder: str) -> LabelName | None:
        """The label of a folder name, ignoring case and `-_ `; None if the name has none in this question.

        A label of a question with other labels than two is also known by its own name and word.
        """
        label_by_folder = {_plain(name): label.name for label in self.labels for name in self.folders(label.name)}
        return label_by_folder.get(_plain(folder))

    def folders(self, label: LabelName) -> tuple[str, ...]:
        """The folder names of a label's clips."""
        found = self.label(label)
        return found.folders if self.has_two_labels else _folders_of(found)


def _problems_of_labels(labels: Sequence[Label]) -> Iterator[str]:
    names = [label.name for label in labels]
    if names == [ALARM, NORMAL]:
        yield from _problems_of_two(*labels)
        return
    if len(labels) < 2:
        yield "labels must be at least two, or none for a question that is answered by a text"
    yield from (f"label {label.name!r} has no word" for label in labels if not label.word.strip())
    yield from (f"labels: several have the name {name!r}" for name in _repeated(names))
    yield from (f"labels: several have the word {word!r}" for word in _repeated([label.word for label in labels]))
    if not any(label.is_alarm for label in labels):
        yield "no label is an alarm; say `is_alarm: true` for those that are"
    folders = [folder for label in labels for folder in {_plain(name): name for name in _folders_of(label)}]
    yield from (f"folder {folder!r} is listed for several labels" for folder in _repeated(folders))


def _folders_of(label: Label) -> tuple[str, ...]:
    """The folders that are listed for a label, and those of its own name and word."""
    plain = {_plain(name): name for name in (label.word, label.name, *label.folders)}
    return tuple(dict.fromkeys([*label.folders, *plain.values()]))


def _problems_of_two(alarm: Label, normal: Label) -> Iterator[str]:
    if not alarm.word or not normal.word:
        yield "alarm_word and normal_word must both be given"
    if alarm.word == normal.word:
        yield f"alarm_word and normal_word are the same ({alarm.word!r})"
    both = set(map(str.lower, alarm.folders)) & set(map(str.lower, normal.folders))
    if both:
        yield f"folders listed as alarm and as normal: {', '.join(sorted(both))}"


def _repeated(items: Sequence[str]) -> list[str]:
    return sorted({item for item in items if items.count(item) > 1})


def starts_with_word(text: str, word: str) -> bool:
    """Returns whether a text begins with a whole word: `Nobody` and `Now` do not begin with `No`.

    In scripts without spaces (是的) any text that begins with the word counts.
    """
    if not text.startswith(word):
        return False
    follows = text[len(word) : len(word) + 1]
    return unicodedata.east_asian_width(word[-1]) in "WF" or not follows.isalnum()


def _plain(folder: str) -> str:
    return readable(folder).lower().translate(str.maketrans("", "", "-_ "))


@dataclass(frozen=True, slots=True, kw_only=True)
class _QuestionFile:
    """The keys of a file in `configs/tasks`."""

    name: str
    question: str
    alarm_word: str = ""
    normal_word: str = ""
    labels: tuple[Label, ...] = ()
    describe: str = ""
    title: str = ""
    language: str = "zh"
    alarm_folders: tuple[str, ...] = ("alarm",)
    normal_folders: tuple[str, ...] = ("normal",)
    alarm_descriptions: tuple[str, ...] = ()
    normal_descriptions: tuple[str, ...] = ()
    system_prompt: str = ""


_TWO_LABELS = ("alarm_word", "normal_word")


def load_question(name: str | Path) -> Question:
    """Loads a question with labels by name from `configs/tasks`, or from a YAML file.

    Raises ConfigError listing every problem of the file, and for a question without labels.
    """
    path = find_config("tasks", name)
    question = read_question(path)
    if not question.labels:
        raise ConfigError(
            str(path), ["the question has no labels (alarm_word and normal_word, or labels), so nothing can be judged"]
        )
    return question


def list_questions() -> list[Question]:
    """Returns all questions of `configs/tasks`, those with labels first.

    Raises ConfigError for the first file that cannot be used.
    """
    questions = [read_question(path) for path in sorted((config_root() / "tasks").glob("*.yaml"))]
    return sorted(questions, key=lambda question: not question.labels)


def question_as_yaml(question: Question) -> str:
    """A file for `configs/tasks` that holds a question with two labels, as `read_question` reads it."""
    alarm, normal = question.label(ALARM), question.label(NORMAL)
    content = _QuestionFile(
        name=question.name,
        question=question.text,
        alarm_word=alarm.word,
        normal_word=normal.word,
        describe=question.describe,
        title=question.title,
        language=question.language,
        alarm_folders=alarm.folders,
        normal_folders=normal.folders,
        alarm_descriptions=alarm.descriptions,
        normal_descriptions=normal.descriptions,
        system_prompt=question.system_prompt,
    )
    values = ((name, list(value) if isinstance(value, tuple) else value) for name, value in asdict(content).items())
    told = {name: value for name, value in values if value}
    text: str = yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=120)
    return text


def read_question(path: Path) -> Question:
    """Loads a question, with or without labels, from a YAML file; raises ConfigError."""
    data = read_yaml(path)
    content = from_mapping(_QuestionFile, data, where=str(path))
    given = [key for key in _TWO_LABELS if key in data]
    if given and content.labels:
        raise ConfigError(str(path), [f"{given[0]} and labels are two ways of saying the same; use one of them"])
    if len(given) == 1:
        missing = next(key for key in _TWO_LABELS if key not in data)
        raise ConfigError(str(path), [f"{missing} is missing"])
    more: dict[str, Any] = {
        "describe": content.describe,
        "language": content.language,
        "system_prompt": content.system_prompt,
    }
    more |= {"name": content.name, "text": content.question, "title": content.title or content.name}
    if not given:
        return Question(labels=content.labels, **more)
    return Question.with_two_labels(
        alarm_word=content.alarm_word,
        normal_word=content.normal_word,
        alarm_folders=content.alarm_folders,
        normal_folders=content.normal_folders,
        alarm_descriptions=content.alarm_descriptions,
        normal_descriptions=content.normal_descriptions,
        **more,
    )
