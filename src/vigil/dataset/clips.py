"""Labelled clips on disk: the label, and optionally the split, come from the names of their folders.

    clips/fight/a.mp4  clips/normal/b.mp4              labels by the task's folder names
    rwf/train/Fight/a.avi  rwf/val/NonFight/b.avi      with split folders above or below; val/ is the test split if
                                                       there is no test/

Videos in a folder that the task does not name are an error: they are never skipped silently.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from vigil.errors import DatasetError, UsageError
from vigil.file_names import digest, plain_name, readable, readable_names, shortened
from vigil.questions import ALARM, NORMAL, LabelName, Question
from vigil.sources.address import EXTENSIONS, is_video, walk_files

Split = Literal["train", "val", "test", "calibration"]
FolderMeaning = LabelName | Literal["skip"]

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
    """The clips of a folder; `ignored` counts the other files by extension."""

    clips: tuple[LabelledClip, ...]
    ignored: Mapping[str, int] = field(default_factory=dict)


def find_clips(folder: Path, task: Question, *, meanings: Mapping[str, FolderMeaning] | None = None) -> ClipListing:
    """All labelled clips below `folder`, sorted by name; `meanings` adds to the folder names of the task.

    Raises UsageError if the folder does not exist or the question has not two labels, and DatasetError if it holds no
    clips, clips outside the folders that the task names, or clips of one class only.
    """
    task.require_two_labels()
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
    labels = {video: meaning for video, meaning in placed.items() if meaning in ("alarm", "normal")}
    _refuse_one_class(set(labels.values()), folder, task)
    slugs = slugs_of(labels)
    clips = [
        LabelledClip(
            path=folder / places[video], name=video, label=_label(label), slug=slugs[video], split=_split(video)
        )
        for video, label in labels.items()
    ]
    return ClipListing(tuple(_with_test(clips)), dict(ignored))


def _with_test(clips: Sequence[LabelledClip]) -> Sequence[LabelledClip]:
    """Renames val to test if there is no test split: public sets of two parts often call the scored part val."""
    if any(clip.split == "test" for clip in clips):
        return clips
    return [replace(clip, split="test") if clip.split == "val" else clip for clip in clips]


def meaning_of(video: str, task: Question, meanings: Mapping[str, FolderMeaning]) -> FolderMeaning | None:
    """The meaning of the innermost folder above a clip that has one; None if no folder has."""
    own = {_plain(name): meaning for name, meaning in meanings.items()}
    for part in reversed(PurePosixPath(video).parts[:-1]):
        meaning = own.get(_plain(part)) or task.label_of(part)
        if meaning is not None:
            return meaning
    return None


def _plain(folder: str) -> str:
    return re.sub(r"[-_ ]", "", readable(folder).lower())


def _label(meaning: FolderMeaning) -> LabelName:
    return "alarm" if meaning == "alarm" else "normal"


def _split(video: str) -> Split | None:
    parts = PurePosixPath(video).parts[:-1]
    return next((SPLIT_FOLDERS[part.lower()] for part in parts if part.lower() in SPLIT_FOLDERS), None)


def slugs_of(labels: Mapping[str, FolderMeaning] | Mapping[str, LabelName]) -> dict[str, str]:
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
    raise DatasetError(
        f"{folder}: the label of these clips is unknown: {where}. Task {task.name!r} knows as alarm: "
        f"{', '.join(task.label(ALARM).folders)}; as normal: {', '.join(task.label(NORMAL).folders)}. "
        "Rename the folder, or use "
        "--label FOLDER=alarm, --label FOLDER=normal or --label FOLDER=skip"
    )


def _refuse_one_class(labels: Container[str], folder: Path, task: Question) -> None:
    for label in (ALARM, NORMAL):
        if label not in labels:
            raise DatasetError(
                f"{folder} holds no {label} clips, and a model cannot learn a difference from one class only; "
                f"put them into a folder named one of: {', '.join(task.label(label).folders)}"
            )


def _describe_ignored(ignored: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {ending} files" for ending, count in ignored.items()) or "it is empty"
