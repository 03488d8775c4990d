"""Questions about a window, and tasks: questions with two label words and the folder names of each label.

Both are YAML files in `configs/tasks`. `load_question("fight")` loads a task by name or path; `list_questions()` also
returns the questions without label words, which are for the chat.
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
"""For tasks without a `describe` of their own; the presets describe.yaml and describe_en.yaml use the same text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A question about a window and the words that answer it.

    `describe` asks for a description if the model was trained to answer with the label word alone.
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
        """Returns the word that begins an answer with this label."""
        return self.alarm_word if label == "alarm" else self.normal_word

    @property
    def description_question(self) -> str:
        """The question whose answer is a description and nothing else."""
        return self.describe.strip() or (DESCRIBE_ZH if self.language.startswith("zh") else DESCRIBE_EN)

    def words(self) -> dict[str, str]:
        """Returns the word of each label."""
        return {"alarm": self.alarm_word, "normal": self.normal_word}

    def label_of(self, folder: str) -> LabelName | None:
        """Returns the label of a folder name, ignoring case and `-_ `; None if the name has none in this task."""
        return self._labels().get(_plain(folder))

    def _labels(self) -> Mapping[str, LabelName]:
        labels: dict[str, LabelName] = {_plain(name): "alarm" for name in self.alarm_folders}
        labels.update({_plain(name): "normal" for name in self.normal_folders})
        return labels


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


def load_question(name: str | Path) -> Task:
    """Loads a task by name from `configs/tasks`, or from a YAML file.

    Raises ConfigError listing every problem of the file.
    """
    return load_config(Task, find_config("tasks", name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that can be asked; `task` is set if its answer begins with a label word."""

    name: str
    title: str
    language: str
    question: str
    task: Task | None = None


def list_questions() -> list[Question]:
    """Returns all questions of `configs/tasks`, tasks first.

    Raises ConfigError for the first file that cannot be used.
    """
    questions = [read_question(path) for path in sorted((config_root() / "tasks").glob("*.yaml"))]
    return sorted(questions, key=lambda question: question.task is None)


def read_question(path: Path) -> Question:
    """Loads a question, with or without label words, from a YAML file; raises ConfigError."""
    data = read_yaml(path)
    if not {"alarm_word", "normal_word"} & data.keys():
        return from_mapping(Question, data, where=str(path))
    task = from_mapping(Task, data, where=str(path))
    title = task.title or task.name
    return Question(name=task.name, title=title, language=task.language, question=task.question, task=task)
