"""A task: what is asked of a window, the two verdict words, and what folder names mean.

Tasks live in `configs/tasks/*.yaml`; `load_question("fight")` finds one by name, a path by path. Beside them lie
questions without verdict words, for the chat; `list_questions()` gives both kinds as what may be asked.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vigil.config import config_root, find_config, from_mapping, load_config, read_yaml
from vigil.errors import ConfigError
from vigil.file_names import readable

LabelName = Literal["alarm", "normal"]


DESCRIBE_ZH = "请详细描述画面中的场景、人物和发生的事情。"
DESCRIBE_EN = "Describe the scene, the people and what happens, in detail."
"""For tasks that have no `describe` of their own; the presets describe.yaml and describe_en.yaml ask the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The question put to a window and the words that answer it.

    `describe` is asked for a description where the model was trained to answer with the verdict alone.
    """

    name: str
    question: str
    alarm_word: str
    normal_word: str
    describe: str = ""
    title: str = ""
    language: str = "zh"
    alarm_folders: tuple[str, ...] = ("alarm",)
    normal_folders: tuple[str, ...] = ("normal",)
    alarm_descriptions: tuple[str, ...] = ()
    normal_descriptions: tuple[str, ...] = ()
    system_prompt: str = field(default="")

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(f"task {self.name!r}", problems)

    def _problems(self) -> list[str]:
        problems = []
        if not self.question.strip():
            problems.append("question is empty")
        if not self.alarm_word or not self.normal_word:
            problems.append("alarm_word and normal_word must both be given")
        if self.alarm_word == self.normal_word:
            problems.append(f"alarm_word and normal_word are the same ({self.alarm_word!r})")
        both = set(map(str.lower, self.alarm_folders)) & set(map(str.lower, self.normal_folders))
        if both:
            problems.append(f"folders listed as alarm and as normal: {', '.join(sorted(both))}")
        return problems

    def word(self, label: LabelName) -> str:
        """The verdict word that an answer with this label begins with."""
        return self.alarm_word if label == "alarm" else self.normal_word

    @property
    def description_question(self) -> str:
        """The question whose answer is a description and nothing else."""
        return self.describe.strip() or (DESCRIBE_ZH if self.language.startswith("zh") else DESCRIBE_EN)

    def words(self) -> dict[str, str]:
        """The word of each label."""
        return {"alarm": self.alarm_word, "normal": self.normal_word}

    def label_of(self, folder: str) -> LabelName | None:
        """What a folder's name means, ignoring case and `-_ `; None when it means nothing to this task."""
        return self._labels().get(_plain(folder))

    def _labels(self) -> Mapping[str, LabelName]:
        labels: dict[str, LabelName] = {_plain(name): "alarm" for name in self.alarm_folders}
        labels.update({_plain(name): "normal" for name in self.normal_folders})
        return labels


def starts_with_word(text: str, word: str) -> bool:
    """Whether a text begins with a whole word: `Nobody` and `Now` do not begin with `No`.

    Words of scripts that write no spaces (是的) end where they end.
    """
    if not text.startswith(word):
        return False
    follows = text[len(word) : len(word) + 1]
    return unicodedata.east_asian_width(word[-1]) in "WF" or not follows.isalnum()


def _plain(folder: str) -> str:
    return readable(folder).lower().translate(str.maketrans("", "", "-_ "))


def load_question(name: str | Path) -> Task:
    """Loads a task by name from `configs/tasks`, or from a YAML file.

    Raises ConfigError with every problem of the file at once.
    """
    return load_config(Task, find_config("tasks", name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What may be asked in words; `task` is there where the answer begins with a verdict."""

    name: str
    title: str
    language: str
    question: str
    task: Task | None = None


def list_questions() -> list[Question]:
    """All questions of `configs/tasks`, those with a verdict first.

    Raises ConfigError for the first file that cannot be used.
    """
    questions = [read_question(path) for path in sorted((config_root() / "tasks").glob("*.yaml"))]
    return sorted(questions, key=lambda question: question.task is None)


def read_question(path: Path) -> Question:
    """The question in a YAML file, with or without verdict words; raises ConfigError."""
    data = read_yaml(path)
    if not {"alarm_word", "normal_word"} & data.keys():
        return from_mapping(Question, data, where=str(path))
    task = from_mapping(Task, data, where=str(path))
    title = task.title or task.name
    return Question(name=task.name, title=title, language=task.language, question=task.question, task=task)
