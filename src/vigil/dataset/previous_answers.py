"""What people and models wrote into a dataset that is about to be built again: taken over, never lost."""

from dataclasses import replace
from pathlib import Path
from typing import Self

from vigil.dataset.answers import label_of_answer
from vigil.dataset.examples import HUMAN, SPLITS, TrainingExample, read_examples, split_path, write_examples
from vigil.dataset.ownership import ASIDE_NAME
from vigil.questions import Task


class PreviousAnswers:
    """The answers of the earlier dataset that somebody wrote, by window; what was set aside before is among them."""

    def __init__(self, examples: dict[tuple[str, str, int, float, float], TrainingExample]) -> None:
        self._waiting = examples

    @classmethod
    def of(cls, out: Path, task: Task) -> Self:
        """Reads them; raises DatasetError where they cannot be read."""
        kept: dict[tuple[str, str, int, float, float], TrainingExample] = {}
        for path in (out / ASIDE_NAME, *(split_path(out, split) for split in SPLITS)):
            if path.exists():
                examples = read_examples(path, task)
                kept.update({example.key: example for example in examples if not example.is_free})
        return cls(kept)

    def take(self, example: TrainingExample, task: Task) -> TrainingExample:
        """The example with the answer that its window had, if it had one.

        A human's answer is kept even against the label (`check` will say so), a model's only with it. An answer that
        is being imported gives way only to one that was edited in the dataset itself.
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
        """Keeps what people wrote that this dataset does not take over; says so."""
        lost = [example for example in self._waiting.values() if example.described_by == HUMAN]
        if not lost:
            return []
        write_examples(out / ASIDE_NAME, lost)
        return [
            f"{len(lost)} answers written by hand are not in this dataset (their windows are no more, or --answers "
            f"verdict leaves words out); kept in {ASIDE_NAME}, and taken back by a build that has room for them"
        ]
