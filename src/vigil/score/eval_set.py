"""The clips a model is scored on, with known labels, and the windows the judge is asked about.

They come from a built dataset, whose stored frames are exactly what training read, or from video files, labelled by
their folders and windowed as a live camera is. A dataset has its own contract. For video files it is the contract of
the model's manifest, else the one the served model declares, else the default.
"""

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from vigil.dataset.clips import LabelledClip as FoundClip
from vigil.dataset.extract import file_digest
from vigil.dataset.groups import SOURCES_NAME, group_by_csv
from vigil.dataset.used_clips import DIGEST_HEX, stored_digest
from vigil.errors import DatasetError, SourceError, UsageError
from vigil.file_names import readable, readable_names
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.judge.contract import resolve_contract
from vigil.manifest import MANIFEST_NAME, Calibration, read_manifest
from vigil.questions import NORMAL, LabelName, Question, load_question
from vigil.sources.address import find_videos
from vigil.sources.video_file import read_frames
from vigil.windows import iter_windows

EvalSplit = Literal["train", "val", "test", "calibration", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalWindow:
    """One window of a clip as it is sent: its JPEGs and its time in the clip."""

    clip: str
    window: int
    start_s: float
    end_s: float
    jpegs: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """A digest of the clip's name, the window's number and all of its pictures."""
        digest = hashlib.blake2b(f"{self.clip}\n{self.window}\n".encode("utf-8", "backslashreplace"), digest_size=12)
        for jpeg in self.jpegs:
            digest.update(len(jpeg).to_bytes(8, "big"))
            digest.update(jpeg)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalClip:
    """One labelled clip; `windows()` reads its pictures, and raises SourceError if it cannot.

    `normal_labels` are the labels of its question that do not alarm.

    `digest()` identifies its file, or the file it was extracted from (16 hex digits); empty if that is unknown.
    """

    name: str
    label: LabelName
    group: str
    windows: Callable[[], list[EvalWindow]]
    digest: Callable[[], str] = str
    normal_labels: tuple[LabelName, ...] = (NORMAL,)


def dataset_clips(folder: Path, split: EvalSplit) -> list[EvalClip]:
    """The clips of a built dataset, in its order; raises DatasetError if it is not one."""
    normal_labels = _normal_labels(read_manifest(folder).contract.as_question()) if _is_built(folder) else (NORMAL,)
    splits = _splits_of(folder) if split == "all" else [split]
    examples = [example for name in splits for example in _read_examples(folder, name)]
    if not examples:
        raise DatasetError(f"the {split} split of {folder} is empty; build it again with more clips")
    by_clip: dict[str, list[dict[str, Any]]] = {}
    for example in examples:
        by_clip.setdefault(example["clip"], []).append(example)
    return [_stored_clip(folder, name, its, normal_labels) for name, its in by_clip.items()]


def _is_built(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).is_file()


def _normal_labels(question: Question) -> tuple[LabelName, ...]:
    return tuple(label.name for label in question.labels if not label.is_alarm)


def _splits_of(folder: Path) -> list[str]:
    found = sorted(path.stem.removeprefix("anomaly-") for path in folder.glob("anomaly-*.json"))
    if not found:
        raise DatasetError(f"{folder} holds no anomaly-*.json; make it with: vigil dataset build CLIPS")
    return found


def _read_examples(folder: Path, split: str) -> list[dict[str, Any]]:
    path = folder / f"anomaly-{split}.json"
    try:
        examples = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        share = " --calibration-share 0.2, and train on that" if split == "calibration" else ""
        raise DatasetError(f"{path} is not there; make it with: vigil dataset build CLIPS{share}") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    needed = {"clip", "label", "videos"}
    if not isinstance(examples, list) or not all(isinstance(e, dict) and needed <= e.keys() for e in examples):
        raise DatasetError(f"{path} was not written by `vigil dataset build`: clip, label or videos are missing")
    return examples


def _stored_clip(
    folder: Path, name: str, examples: Sequence[dict[str, Any]], normal_labels: tuple[LabelName, ...]
) -> EvalClip:
    first = examples[0]
    if any(example["label"] != first["label"] for example in examples):
        raise DatasetError(f"the windows of {name} in {folder} have different labels; build the dataset again")
    return EvalClip(
        name=name,
        label=first["label"],
        group=str(first.get("group") or name),
        windows=lambda: [_stored_window(folder, example) for example in examples],
        digest=lambda: stored_digest(folder, first),
        normal_labels=normal_labels,
    )


def _stored_window(folder: Path, example: dict[str, Any]) -> EvalWindow:
    return EvalWindow(
        clip=example["clip"],
        window=int(example.get("window", 0)),
        start_s=float(example.get("start_s", 0.0)),
        end_s=float(example.get("end_s", 0.0)),
        jpegs=tuple(_read_frame(folder / frame) for frame in example["videos"][0]),
    )


def _read_frame(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"the dataset names a frame that cannot be read: {path} ({error.strerror}); build it again"
        ) from error


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A file below (or at) one of the given paths; `label` is None if no folder above it determines one."""

    path: Path
    name: str
    label: LabelName | None


def video_clips(paths: Sequence[Path], task: Question, sampling: FrameSampling) -> list[EvalClip]:
    """The clips in class folders or single files, grouped by the `sources.csv` beside them.

    Raises UsageError if there is none, if one lies in no folder known to the task, or if two have one name.
    """
    task.require_labels()
    videos = [video for path in paths for video in _videos(path, task)]
    _require_labels(videos, paths, task)
    _require_names(videos)
    groups = _groups(videos, paths, task)
    return [_clip(video, sampling, groups, _normal_labels(task)) for video in videos]


def _videos(path: Path, task: Question) -> Iterator[LabelledVideo]:
    if path.is_file():
        yield LabelledVideo(
            path, readable(f"{path.absolute().parent.name}/{path.name}"), _label(path, path.parent, task)
        )
        return
    if not path.is_dir():
        raise UsageError(f"{path} is neither a folder nor a file")
    files = {file.relative_to(path).as_posix(): file for file in find_videos(path)}
    for place, name in readable_names(files).items():
        yield LabelledVideo(files[place], name, _label(files[place], path, task))


def _label(file: Path, top: Path, task: Question) -> LabelName | None:
    """The nearest folder with a meaning decides, from the file upwards to the given path."""
    for folder in file.absolute().parents:
        label = task.label_of(folder.name)
        if label is not None or folder == top.absolute():
            return label
    return None


def _require_labels(videos: Sequence[LabelledVideo], paths: Sequence[Path], task: Question) -> None:
    unlabelled = [video.name for video in videos if video.label is None]
    if videos and not unlabelled:
        return
    where = ", ".join(map(str, paths))
    if not videos:
        raise UsageError(f"no video files in {where}")
    folders = ", ".join(folder for label in task.labels for folder in task.folders(label.name))
    raise UsageError(
        f"{len(unlabelled)} of {len(videos)} clips in {where} lie in no folder that task {task.name!r} knows "
        f"({folders}), for instance {unlabelled[0]}; rename the folder, or leave it out of the paths"
    )


def _require_names(videos: Sequence[LabelledVideo]) -> None:
    name, count = Counter(video.name for video in videos).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} clips are named {name}; give one folder that they all lie in")


def _groups(videos: Sequence[LabelledVideo], paths: Sequence[Path], task: Question) -> Mapping[str, str]:
    found = [
        FoundClip(path=video.path, name=video.name, label=video.label, slug="")
        for video in videos
        if video.label is not None
    ]
    groups: dict[str, str] = {}
    for path in paths:
        if (path / SOURCES_NAME).is_file():
            groups |= group_by_csv(found, path / SOURCES_NAME, task)
    return groups


def _clip(
    video: LabelledVideo, sampling: FrameSampling, groups: Mapping[str, str], normal_labels: tuple[LabelName, ...]
) -> EvalClip:
    assert video.label is not None, "videos without a label were refused"
    return EvalClip(
        name=video.name,
        label=video.label,
        group=groups.get(video.name, video.name),
        windows=lambda: _cut_windows(video, sampling),
        digest=lambda: _digest(video.path),
        normal_labels=normal_labels,
    )


def _digest(path: Path) -> str:
    try:
        return file_digest(path)[:DIGEST_HEX]
    except SourceError:
        return ""


def _cut_windows(video: LabelledVideo, sampling: FrameSampling) -> list[EvalWindow]:
    return [
        EvalWindow(clip=video.name, window=w.index, start_s=w.start_s, end_s=w.end_s, jpegs=w.jpegs)
        for w in iter_windows(read_frames(video.path, sampling), sampling)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """Clips, their contract, the question, and the model's calibration."""

    clips: Sequence[EvalClip]
    task: Question
    sampling: FrameSampling
    calibration: Calibration | None = None

    def drawn(self, limit: int | None) -> "EvalSet":
        """At most `limit` of the clips, the same ones each time."""
        if limit is None or limit >= len(self.clips):
            return self
        chosen = sorted(random.Random(0).sample(range(len(self.clips)), limit))
        return replace(self, clips=[self.clips[number] for number in chosen])


def load_eval_set(
    paths: Sequence[Path],
    *,
    endpoint: Endpoint,
    data: Path | None = None,
    split: EvalSplit = "test",
    task: str | None = None,
    model_dir: Path | None = None,
    max_pixels: int | None = None,
) -> EvalSet:
    """The clips of a dataset or of video files; raises UsageError if neither or both are given.

    With `model_dir`, the model's own contract and calibration are used.
    """
    if (data is None) == (not paths):
        raise UsageError("name clips to score, or a dataset with --data DIR, and not both")
    named = None if task is None else load_question(task)
    resolving = resolve_contract(endpoint, question=named, model_dir=model_dir, dataset=data, max_pixels=max_pixels)
    resolved = asyncio.run(resolving)
    question, sampling = resolved.question, resolved.sampling
    clips = dataset_clips(data, split) if data is not None else video_clips(paths, question, sampling)
    return EvalSet(clips=clips, task=question, sampling=sampling, calibration=resolved.read_calibration())
