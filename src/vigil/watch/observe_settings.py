"""The settings of the semantic log: how often a camera is observed, in which form, and what that may cost."""

from dataclasses import dataclass

from vigil.errors import UsageError
from vigil.questions import Question
from vigil.scene import SceneForm, SceneLanguage, scene_question

MOST_MEMORY = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveSettings:
    """How each camera is observed; with `every_s` 0, the default, none is.

    A camera is observed every `every_s` seconds; already after `changed_s` if the picture differs by `change_from` grey
    levels (of 255) from the one that was observed last, and only after `still_s` if it hardly differs (a quarter of
    that). `words_tokens` limits an answer in words. No source spends more than `camera_tokens_per_min` tokens, read
    and written, on a minute of its footage, and all live ones together no more than `tokens_per_min` in a minute.
    `in_flight` limits the observations that are under way at once, of different sources. `memory` is how many of a
    camera's last observations stand in the question about its next window. Raises UsageError for inconsistent values.
    """

    every_s: float = 0.0
    changed_s: float = 3.0
    still_s: float = 60.0
    change_from: float = 8.0
    form: SceneForm = "json"
    language: SceneLanguage = "zh"
    question: str = ""
    words_tokens: int = 60
    camera_tokens_per_min: int = 6000
    tokens_per_min: int = 60_000
    in_flight: int = 2
    memory: int = 0

    def __post_init__(self) -> None:
        checks = (
            (self.every_s >= 0, f"every_s must not be negative, not {self.every_s}"),
            (self.changed_s > 0, f"changed_s must be above 0, not {self.changed_s}"),
            (self.change_from > 0, f"change_from must be above 0, not {self.change_from}"),
            (self.words_tokens >= 8, f"words_tokens must be at least 8, not {self.words_tokens}"),
            (self.camera_tokens_per_min >= 1, "camera_tokens_per_min must be at least 1"),
            (self.in_flight >= 1, f"in_flight must be at least 1, not {self.in_flight}"),
            (self.tokens_per_min >= 1, "tokens_per_min must be at least 1"),
            (0 <= self.memory <= MOST_MEMORY, f"memory must be from 0 to {MOST_MEMORY}, not {self.memory}"),
            (self.is_on or not self.memory, "memory remembers observations, and every_s is 0: none are made"),
            (
                not self.is_on or self.changed_s <= self.every_s <= self.still_s,
                f"changed_s, every_s and still_s must rise, and are {self.changed_s:g}, {self.every_s:g} and "
                f"{self.still_s:g}",
            ),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))

    @property
    def is_on(self) -> bool:
        """Whether cameras are observed."""
        return self.every_s > 0

    def scene_question(self) -> Question:
        """What is asked of a window."""
        return scene_question(self.form, language=self.language, text=self.question, words_tokens=self.words_tokens)
