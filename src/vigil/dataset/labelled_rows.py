"""Collects the rows of a sharegpt file by clip, and reduces them to one label and one answer per clip."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vigil.dataset.answers import has_description, label_of_answer
from vigil.dataset.clips import FolderMeaning, meaning_of
from vigil.dataset.sharegpt import RefusedRow, SharegptRow, UnusableRow, shown
from vigil.dataset.video_paths import VideoPaths
from vigil.questions import LabelName, Question


@dataclass(frozen=True, slots=True)
class DescribedClip:
    """A row, the video file it refers to, and the label of its answer."""

    row: SharegptRow
    path: Path
    label: LabelName


@dataclass(slots=True)
class LabelledRows:
    """Collects rows one by one; `refused` lists unusable ones, `skipped` counts those of folders labelled `skip`."""

    task: Question
    meanings: Mapping[str, FolderMeaning]
    videos: VideoPaths
    refused: list[RefusedRow] = field(default_factory=list)
    questions: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    skipped: int = 0
    systems: int = 0
    _by_file: dict[Path, list[DescribedClip]] = field(default_factory=lambda: defaultdict(list))

    def take(self, row: SharegptRow | RefusedRow) -> None:
        """Adds one row; an unusable one goes to `refused`."""
        self.rows += 1
        if isinstance(row, RefusedRow):
            self.refused.append(row)
            return
        try:
            described = self._read(row)
        except UnusableRow as reason:
            self.refused.append(RefusedRow(row.number, str(reason)))
            return
        if described is None:
            self.skipped += 1
            return
        self.systems += row.has_system
        self.questions[row.question] += 1
        # Two names of the same file (links) are one clip.
        self._by_file[described.path.resolve()].append(described)

    def _read(self, row: SharegptRow) -> DescribedClip | None:
        label = label_of_answer(row.answer, self.task)
        if label is None:
            expected = " or ".join(self.task.words().values())
            raise UnusableRow(f"the answer does not begin with {expected}: {shown(row.answer[:40])}")
        path = self.videos.find(row.video)
        meaning = meaning_of(self.videos.name_of(path), self.task, self.meanings)
        if meaning == "skip":
            return None
        if meaning not in (None, label):
            word, folder = self.task.word(label), shown(path.parent.name)
            raise UnusableRow(
                f"the answer begins with {word}, but {shown(path.name)} lies in {folder}/, which means {meaning}; "
                f"correct one of them, or use --label {folder}={label}"
            )
        return DescribedClip(row, path, label)

    def keep_question(self, question: str) -> None:
        """Refuses the rows with another question."""
        why = f"it asks another question than most rows; --question task asks that of {self.task.name} of all"
        for key, described in self._by_file.items():
            self._by_file[key] = [each for each in described if each.row.question == question]
            self._refuse([each for each in described if each.row.question != question], why)

    def settle(self) -> None:
        """Keeps one answer per clip; refuses all rows of a contradictory clip, and differing descriptions of a clip."""
        for key, described in self._by_file.items():
            self._by_file[key] = self._one_of(described)
        self.refused.sort(key=lambda refused: refused.number)

    def _one_of(self, described: Sequence[DescribedClip]) -> list[DescribedClip]:
        by_label = {each.label: each for each in reversed(described)}
        if len(by_label) > 1:
            statements = (f"row {each.row.number} says {self.task.word(each.label)}" for each in by_label.values())
            self._refuse(
                described,
                f"{shown(described[0].path.name)} has answers that contradict each other: {', '.join(statements)}",
            )
            return []
        worded = [each for each in described if has_description(each.row.answer, self.task)]
        first = (worded or [*described])[:1]
        others = [each for each in worded if each.row.answer != first[0].row.answer]
        if others:
            self._refuse(
                others, f"{shown(first[0].path.name)} is described in other words by row {first[0].row.number}"
            )
        return first

    def _refuse(self, described: Sequence[DescribedClip], why: str) -> None:
        self.refused += [RefusedRow(each.row.number, why) for each in described]

    def used(self) -> list[DescribedClip]:
        """The row kept for each clip, sorted by clip name."""
        described = [each for rows in self._by_file.values() for each in rows]
        return sorted(described, key=lambda each: self.videos.name_of(each.path))
