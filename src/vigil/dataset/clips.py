"""Labelled clips on disk: the label, and optionally the split, come from the names of their folders.

    clips/fight/a.mp4  clips/normal/b.mp4              labels by the task's folder names
    clips/烟雾/a.mp4  clips/fall/b.mp4  clips/正常/c.mp4   of a task with several labels, one folder or more a label
    rwf/train/Fight/a.avi  rwf/val/NonFight/b.avi      with split folders above or below; val/ is the test split if
                                                       there is no test/

Videos in a folder that the task does not name are an error: they are never skipped silently.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from vigil.errors import DatasetError, UsageError
from vigil.file_names import digest, plain_name, readable, readable_names, shortened
from vigil.questions import LabelName, Question
from vigil.sources.address import EXTENSIONS, is_video, walk_files

Split = Literal["train", "val", "test", "calibration"]
FolderMeaning: TypeAlias = str
"""The name of a label, or SKIP."""

SKIP = "skip"

SPLIT_FOLDERS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledClip:
    """One labelled video; `name` is its readable path below the folder, `slug` the name of its folder of frames."""

    path: Path
    name: str
    label: LabelName
    slug: str
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class ClipListing:
    """The clips of a folder; `ignored` counts the other files by extension, `lacks` names labels without a clip."""

    clips: tuple[LabelledClip, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)
    lacks: tuple[LabelName, ...] = ()


def find_clips(folder: Path, task: Question, *, meanings: Mapping[str, FolderMeaning] | None = None) -> ClipListing:
    """All labelled clips below `folder`, sorted by name; `meanings` adds to the folder names of the task.

    Raises UsageError if the folder does not exist or the question has no labels, and DatasetError if it holds no clips,
    clips outside the folders that the task names or in folders of two labels, or no alarms or nothing but alarms.
    """
    task.require_labels()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give the folder that holds one folder of clips per class")
    files = sorted(path.relative_to(folder).as_posix() for path in walk_files(folder))
    places = {name: place for place, name in readable_names(file for file in files if is_video(Path(file))).items()}
    videos = sorted(places)
    ignored = Counter(Path(file).suffix.lower() or "no ending" for file in files) - Counter(
        Path(place).suffix.lower() for place in places.values()
    )
    if not videos:
        endings = " ".join(sorted(ending.removeprefix(".") for ending in EXTENSIONS))
        raise DatasetError(f"{folder} holds no videos ({_describe_ignored(ignored)}); known endings: {endings}")
    placed = {video: meaning_of(video, task, meanings or {}) for video in videos}
    _refuse_unknown([video for video, meaning in placed.items() if meaning is None], folder, task)
    _refuse_ambiguous(placed, folder, task, meanings or {})
    labels = {video: meaning for video, meaning in placed.items() if meaning is not None and meaning != SKIP}
    _refuse_one_class(set(labels.values()), folder, task)
    slugs = slugs_of(labels)
    clips = [
        LabelledClip(path=folder / places[video], name=video, label=label, slug=slugs[video], split=_split(video))
        for video, label in labels.items()
    ]
    return ClipListing(tuple(_with_test(clips)), dict(ignored), tuple(task.lacks(set(labels.values()))))


def _with_test(clips: Sequence[LabelledClip]) -> Sequence[LabelledClip]:
    """Renames val to test if there is no test split: public sets of two parts often call the scored part val."""
    if any(clip.split == "test" for clip in clips):
        return clips
    return [replace(clip, split="test") if clip.split == "val" else clip for clip in clips]


def meaning_of(video: str, task: Question, meanings: Mapping[str, FolderMeaning]) -> FolderMeaning | None:
    """The meaning of the innermost folder above a clip that has one; None if no folder has."""
    return next((meaning for _, meaning in _meanings_above(video, task, meanings)), None)


def _meanings_above(
    video: str, task: Question, meanings: Mapping[str, FolderMeaning]
) -> Iterator[tuple[str, FolderMeaning]]:
    """The folders above a clip that have a meaning, the innermost first."""
    own = {_plain(name): meaning for name, meaning in meanings.items()}
    for part in reversed(PurePosixPath(video).parts[:-1]):
        meaning = own.get(_plain(part)) or task.label_of(part)
        if meaning is not None:
            yield part, meaning


def _plain(folder: str) -> str:
    return re.sub(r"[-_ ]", "", readable(folder).lower())


def _split(video: str) -> Split | None:
    parts = PurePosixPath(video).parts[:-1]
    return next((SPLIT_FOLDERS[part.lower()] for part in parts if part.lower() in SPLIT_FOLDERS), None)


def slugs_of(labels: Mapping[str, LabelName]) -> dict[str, str]:
    """Names for the folders of frames: the clip's name, plus a digest if it is too long or not unique in its label."""
    plain = {video: plain_name(PurePosixPath(video).stem) for video in labels}
    taken = Counter((labels[video], slug.casefold()) for video, slug in plain.items())
    alone = {video for video, slug in plain.items() if slug and taken[labels[video], slug.casefold()] == 1}
    return {
        video: shortened(slug if video in alone else f"{slug}-{digest(video)}", of=video)
        for video, slug in plain.items()
    }


def _refuse_unknown(videos: Iterable[str], folder: Path, task: Question) -> None:
    lost: dict[str, int] = defaultdict(int)
    for video in videos:
        lost[PurePosixPath(video).parent.as_posix()] += 1
    if not lost:
        return
    if list(lost) == ["."] and task.label_of(folder.resolve().name):
        raise DatasetError(
            f"{folder} holds the clips of one class; give the folder above it, {folder.resolve().parent}"
        )
    where = ", ".join(f"{'the folder itself' if name == '.' else name} ({n} clips)" for name, n in lost.items())
    names = [label.name for label in task.labels]
    known = "; ".join(f"as {name}: {', '.join(task.folders(name))}" for name in names)
    choices = ", ".join(f"--label FOLDER={name}" for name in names) if task.has_two_labels else "--label FOLDER=LABEL"
    raise DatasetError(
        f"{folder}: the label of these clips is unknown: {where}. Task {task.name!r} knows {known}. "
        f"Rename the folder, or use {choices} or --label FOLDER={SKIP}"
    )


def _refuse_ambiguous(
    videos: Iterable[str], folder: Path, task: Question, meanings: Mapping[str, FolderMeaning]
) -> None:
    """Raises DatasetError for a clip that lies in folders of two labels; with two labels the innermost counts."""
    if task.has_two_labels:
        return
    for video in videos:
        found = dict(_meanings_above(video, task, meanings))
        if len(set(found.values())) > 1 and SKIP not in found.values():
            named = " and ".join(f"{place}/ ({meaning})" for place, meaning in reversed(found.items()))
            raise DatasetError(
                f"{folder}: {video} lies in folders of two classes, {named}; move it into one of them, or leave such "
                f"a folder out: --label FOLDER={SKIP}"
            )


def _refuse_one_class(labels: Container[str], folder: Path, task: Question) -> None:
    if task.is_learnable(labels):
        return
    present = {task.is_alarm(label.name) for label in task.labels if label.name in labels}
    for label in task.lacks(labels):
        if task.is_alarm(label) not in present:
            raise DatasetError(
                f"{folder} holds no {label} clips, and a model cannot learn a difference from one class only; "
                f"put them into a folder named one of: {', '.join(task.folders(label))}"
            )


def _describe_ignored(ignored: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {ending} files" for ending, count in ignored.items()) or "it is empty"
