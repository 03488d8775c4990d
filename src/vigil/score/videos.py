"""Video files to score: labelled by their folders and cut as a live camera is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vigil.dataset.clips import LabelledClip as FoundClip
from vigil.dataset.cutting import file_digest
from vigil.dataset.groups import SOURCES_NAME, group_by_csv
from vigil.dataset.used_clips import DIGEST_HEX
from vigil.errors import SourceError, UsageError
from vigil.file_names import readable, readable_names
from vigil.frames import FrameSampling
from vigil.score.items import EvalClip, EvalWindow
from vigil.sources.file import read_frames
from vigil.sources.videos import find_videos
from vigil.tasks import LabelName, Task
from vigil.windows import iter_windows


@dataclass(frozen=True, slots=True)
class LabelledVideo:
    """A file below (or as) one of the given paths; `label` is None where no folder above it says one."""

    path: Path
    name: str
    label: LabelName | None


def video_clips(paths: Sequence[Path], task: Task, sampling: FrameSampling) -> list[EvalClip]:
    """The clips in folders of classes or single files, grouped by the `sources.csv` beside them.

    Raises UsageError when there is none, when one lies in no folder that the task knows, or when two have one name.
    """
    videos = [video for path in paths for video in _videos(path, task)]
    _require_labels(videos, paths, task)
    _require_names(videos)
    groups = _groups(videos, paths, task)
    return [_clip(video, sampling, groups) for video in videos]


def _videos(path: Path, task: Task) -> Iterator[LabelledVideo]:
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


def _label(file: Path, top: Path, task: Task) -> LabelName | None:
    """The nearest folder that means something decides, from the file upwards to the given one."""
    for folder in file.absolute().parents:
        label = task.label_of(folder.name)
        if label is not None or folder == top.absolute():
            return label
    return None


def _require_labels(videos: Sequence[LabelledVideo], paths: Sequence[Path], task: Task) -> None:
    unlabelled = [video.name for video in videos if video.label is None]
    if videos and not unlabelled:
        return
    where = ", ".join(map(str, paths))
    if not videos:
        raise UsageError(f"no video files in {where}")
    known = ", ".join((*task.alarm_folders, *task.normal_folders))
    raise UsageError(
        f"{len(unlabelled)} of {len(videos)} clips in {where} lie in no folder that task {task.name!r} knows "
        f"({known}), for instance {unlabelled[0]}; rename the folder, or leave it out of the paths"
    )


def _require_names(videos: Sequence[LabelledVideo]) -> None:
    name, count = Counter(video.name for video in videos).most_common(1)[0]
    if count > 1:
        raise UsageError(f"{count} clips are named {name}; give one folder that they all lie in")


def _groups(videos: Sequence[LabelledVideo], paths: Sequence[Path], task: Task) -> Mapping[str, str]:
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


def _clip(video: LabelledVideo, sampling: FrameSampling, groups: Mapping[str, str]) -> EvalClip:
    assert video.label is not None, "videos without a label were refused"
    return EvalClip(
        name=video.name,
        label=video.label,
        group=groups.get(video.name, video.name),
        windows=lambda: _cut_windows(video, sampling),
        digest=lambda: _digest(video.path),
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
