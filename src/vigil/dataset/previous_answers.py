"""Carries answers by people and models over into a rebuilt dataset, so that none is lost."""

from dataclasses import replace
from pathlib import Path
from typing import Self

from vigil.dataset.answers import label_of_answer
from vigil.dataset.examples import HUMAN, SPLITS, TrainingExample, read_examples, split_path, write_examples
from vigil.dataset.ownership import ASIDE_NAME
from vigil.questions import Question


class PreviousAnswers:
    """The written answers of the previous dataset by window, including those set aside by earlier builds."""

    def __init__(self, examples: dict[tuple[str, str, int, float, float], TrainingExample]) -> None:
        self._waiting = examples

    @classmethod
    def of(cls, out: Path, task: Question) -> Self:
        """Reads the answers in `out`; raises DatasetError if a file cannot be read."""
        kept: dict[tuple[str, str, int, float, float], TrainingExample] = {}
        for path in (out / ASIDE_NAME, *(split_path(out, split) for split in SPLITS)):
            if path.exists():
                examples = read_examples(path, task)
                kept.update({example.key: example for example in examples if not example.is_free})
        return cls(kept)

    def take(self, example: TrainingExample, task: Question) -> TrainingExample:
        """The example with the previous answer of its window, if there was one.

        A human's answer is kept even if it contradicts the label (`check` reports it), a model's only if it agrees.
        Only an answer edited in the dataset itself takes precedence over one being imported.
        """
        before = self._waiting.get(example.key)
        if before is None:
            return example
        if before.described_by != HUMAN and (
            example.author == HUMAN or label_of_answer(before.answer, task) != example.label
        ):
            return example
        del self._waiting[example.key]
        return replace(example, answer=before.answer, described_by=before.described_by)

    def set_aside(self, out: Path) -> list[str]:
        """Saves human answers that this dataset has no window for; returns notes for the report."""
        lost = [example for example in self._waiting.values() if example.described_by == HUMAN]
        if not lost:
            return []
        write_examples(out / ASIDE_NAME, lost)
        return [
            f"{len(lost)} answers written by hand are not in this dataset (their windows are gone, or --answers "
            f"verdict leaves descriptions out); kept in {ASIDE_NAME}, and restored by a build that has room for them"
        ]
