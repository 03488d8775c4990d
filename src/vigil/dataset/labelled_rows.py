"""Rows of other people's files, sorted by the clip that they speak of: one label and one answer each."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vigil.dataset.answers import has_words, label_of_answer
from vigil.dataset.clips import FolderMeaning, meaning_of
from vigil.dataset.sharegpt import RefusedRow, SharegptRow, UnusableRow, shown
from vigil.dataset.video_paths import VideoPaths
from vigil.questions import LabelName, Task


@dataclass(frozen=True, slots=True)
class DescribedClip:
    """A row with the file that it means, and the label that its answer gives."""

    row: SharegptRow
    path: Path
    label: LabelName


@dataclass(slots=True)
class LabelledRows:
    """Takes rows one by one; `refused` holds those that cannot be used, `skipped` counts those that need not be."""

    task: Task
    meanings: Mapping[str, FolderMeaning]
    videos: VideoPaths
    refused: list[RefusedRow] = field(default_factory=list)
    questions: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    skipped: int = 0
    systems: int = 0
    _told: dict[Path, list[DescribedClip]] = field(default_factory=lambda: defaultdict(list))

    def take(self, row: SharegptRow | RefusedRow) -> None:
        """Takes one row as it was read."""
        self.rows += 1
        if isinstance(row, RefusedRow):
            self.refused.append(row)
            return
        try:
            told = self._read(row)
        except UnusableRow as reason:
            self.refused.append(RefusedRow(row.number, str(reason)))
            return
        if told is None:
            self.skipped += 1
            return
        self.systems += row.has_system
        self.questions[row.question] += 1
        # Two names of one file are one clip.
        self._told[told.path.resolve()].append(told)

    def _read(self, row: SharegptRow) -> DescribedClip | None:
        label = label_of_answer(row.answer, self.task)
        if label is None:
            words = f"{self.task.alarm_word} or {self.task.normal_word}"
            raise UnusableRow(f"the answer does not begin with {words}: {shown(row.answer[:40])}")
        path = self.videos.find(row.video)
        meaning = meaning_of(self.videos.name_of(path), self.task, self.meanings)
        if meaning == "skip":
            return None
        if meaning not in (None, label):
            word, folder = self.task.word(label), shown(path.parent.name)
            raise UnusableRow(
                f"the answer begins with {word}, but {shown(path.name)} lies in {folder}/, which means {meaning}; "
                f"correct one of them, or say --label {folder}={label}"
            )
        return DescribedClip(row, path, label)

    def keep_question(self, question: str) -> None:
        """Refuses the rows that ask something else."""
        why = f"it asks another question than most rows; --question task asks that of {self.task.name} of all"
        for key, told in self._told.items():
            self._told[key] = [each for each in told if each.row.question == question]
            self._refuse([each for each in told if each.row.question != question], why)

    def settle(self) -> None:
        """Leaves one answer a clip; refuses those that contradict it, or describe it in other words."""
        for key, told in self._told.items():
            self._told[key] = self._one_of(told)
        self.refused.sort(key=lambda refused: refused.number)

    def _one_of(self, told: Sequence[DescribedClip]) -> list[DescribedClip]:
        by_label = {each.label: each for each in reversed(told)}
        if len(by_label) > 1:
            said = (f"row {each.row.number} says {self.task.word(each.label)}" for each in by_label.values())
            self._refuse(told, f"{shown(told[0].path.name)} has answers that contradict each other: {', '.join(said)}")
            return []
        worded = [each for each in told if has_words(each.row.answer, self.task)]
        first = (worded or [*told])[:1]
        others = [each for each in worded if each.row.answer != first[0].row.answer]
        if others:
            self._refuse(
                others, f"{shown(first[0].path.name)} is described in other words by row {first[0].row.number}"
            )
        return first

    def _refuse(self, told: Sequence[DescribedClip], why: str) -> None:
        self.refused += [RefusedRow(each.row.number, why) for each in told]

    def used(self) -> list[DescribedClip]:
        """The row of each clip, in the order of the clips' names."""
        told = [each for rows in self._told.values() for each in rows]
        return sorted(told, key=lambda each: self.videos.name_of(each.path))
