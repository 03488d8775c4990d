"""A task: what is asked of a window, the two verdict words, and what folder names mean.

Tasks live in `configs/tasks/*.yaml`; `load_task("fight")` finds one by name, a path by path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vigil.config import find_config, load_config
from vigil.errors import ConfigError

Label = Literal["alarm", "normal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The question put to a window and the words that answer it."""

    name: str
    question: str
    alarm_word: str
    normal_word: str
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

    def word(self, label: Label) -> str:
        """The verdict word that an answer with this label begins with."""
        return self.alarm_word if label == "alarm" else self.normal_word

    def label_of(self, folder: str) -> Label | None:
        """What a folder's name means, ignoring case and `-_ `; None when it means nothing to this task."""
        return self._labels().get(_plain(folder))

    def _labels(self) -> Mapping[str, Label]:
        labels: dict[str, Label] = {_plain(name): "alarm" for name in self.alarm_folders}
        labels.update({_plain(name): "normal" for name in self.normal_folders})
        return labels


def _plain(folder: str) -> str:
    return folder.lower().translate(str.maketrans("", "", "-_ "))


def load_task(name: str | Path) -> Task:
    """Loads a task by name from `configs/tasks`, or from a YAML file.

    Raises ConfigError with every problem of the file at once.
    """
    return load_config(Task, find_config("tasks", name))
