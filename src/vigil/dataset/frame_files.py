"""The frame files of a dataset: writes, reads and inspects a clip's folder, and derives short-clip windows.

A clip's folder holds `frames/<label>/<clip>/<window>-<i>.jpg` and `clip.json`. It is written under a temporary name
and renamed, so a folder is always complete. Overlapping windows share files: each distinct frame is stored once.

Most public fight clips last about 2 s, which is 4 or 5 frames at 2 fps; a camera's window has 6. Policies for training
on such short clips:

    as-is    a short clip gives one short window, a long one full windows, as in scoring
    crop     full windows also give a shorter one, so that both lengths occur with both labels
    stretch  short clips also give a full window of more closely spaced frames with the usual time marks; it appears
             slowed down, by at most MAX_STRETCH
    both     crop and stretch

`benchmarks/short_clips.py` compares them. Only training windows are added; the other splits are always as-is.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.config import from_mapping
from vigil.dataset.similar_clips import Fingerprint, fingerprint
from vigil.dataset.workers import ProgressCallback, no_progress
from vigil.errors import ConfigError, DatasetError
from vigil.frames import RGB, FrameSampling, decode_jpeg
from vigil.windows import Window

ShortClipPolicy: TypeAlias = Literal["as-is", "crop", "stretch", "both"]
WindowKind: TypeAlias = Literal["window", "crop", "stretch"]

MAX_STRETCH = 2.0
"""Slowed down further, a motion no longer looks like the same one."""


def crop_window(window: Window, sampling: FrameSampling) -> Window | None:
    """Returns two thirds of a full window, alternately its beginning and its end; None for a short window."""
    length = short_length(sampling)
    if window.repeated or len(window.shots) < sampling.frames or length >= sampling.frames:
        return None
    shots = window.shots[:length] if window.index % 2 == 0 else window.shots[-length:]
    return Window(window.index, shots)


def short_length(sampling: FrameSampling) -> int:
    """Returns the frames of a short window: two thirds of a full one, in complete groups, at least 2 (6 -> 4)."""
    group = sampling.frames_per_group
    return max(2, sampling.frames * 2 // 3 // group * group)


def stretched_fps(only: Window, sampling: FrameSampling) -> float | None:
    """Returns the frame rate at which a clip with only this window fills a full one.

    Returns None if the clip is long enough already, or so short that it would be slowed by more than MAX_STRETCH.
    """
    distinct = len(only.shots) - only.repeated
    if distinct >= sampling.frames or distinct < 2:
        return None
    fps = (sampling.frames - 1) / (only.end_s - only.start_s)
    return fps if fps / sampling.fps <= MAX_STRETCH else None


MARKER_NAME = "clip.json"
HDR, INTERLACED = "HDR", "interlaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """A window on disk: its file names in the clip's folder, and its position in the video."""

    window: int
    files: tuple[str, ...]
    start_s: float
    end_s: float
    kind: WindowKind = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClip:
    """The content of `clip.json`; `digest` identifies video and settings, `problems` describes damage of the video.

    `notes` are remarks that are not damage, `format` is the video's size and rate, such as `1280x720@29.97`, `traits`
    what was corrected in every frame: `HDR`, `interlaced`.
    """

    digest: str
    video_digest: str
    frames_digest: str
    fingerprint: Fingerprint
    windows: tuple[StoredWindow, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: str = ""
    traits: tuple[str, ...] = ()


def read_stored(folder: Path) -> StoredClip | None:
    """Reads the `clip.json` of a folder; returns None if it is missing or damaged."""
    try:
        data = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
        return from_mapping(StoredClip, data, where=str(folder))
    except (OSError, ValueError, ConfigError, AttributeError):
        return None


def is_complete(folder: Path, stored: StoredClip) -> bool:
    """Returns whether every frame file is present with unchanged bytes."""
    digest = hashlib.sha256()
    try:
        for file in _distinct(stored.windows):
            digest.update((folder / file).read_bytes())
    except OSError:
        return False
    return digest.hexdigest() == stored.frames_digest


def _distinct(windows: Sequence[StoredWindow]) -> list[str]:
    return list(dict.fromkeys(file for window in windows for file in window.files))


class FrameWriter:
    """Fills a clip's new folder window by window."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[bytes, str] = {}
        self._digest = hashlib.sha256()
        self._windows: list[StoredWindow] = []

    def put(self, window: Window, kind: WindowKind) -> None:
        """Stores a window; frames shared with an earlier window are not written again."""
        files = tuple(self._file(jpeg, place) for place, jpeg in enumerate(window.jpegs))
        self._windows.append(
            StoredWindow(window=window.index, files=files, start_s=window.start_s, end_s=window.end_s, kind=kind)
        )

    def _file(self, jpeg: bytes, place: int) -> str:
        key = hashlib.sha256(jpeg).digest()
        if key not in self._names:
            self._names[key] = f"{len(self._windows):03d}-{place}.jpg"
            (self._folder / self._names[key]).write_bytes(jpeg)
            self._digest.update(jpeg)
        return self._names[key]

    def finish(
        self,
        *,
        digest: str,
        video_digest: str,
        problems: Sequence[str],
        notes: Sequence[str],
        format_: str,
        traits: Sequence[str],
    ) -> StoredClip:
        """Writes `clip.json`, the mark of a complete folder."""
        stored = StoredClip(
            digest=digest,
            video_digest=video_digest,
            frames_digest=self._digest.hexdigest(),
            fingerprint=self._fingerprint(),
            windows=tuple(self._windows),
            problems=tuple(problems),
            notes=tuple(notes),
            format=format_,
            traits=tuple(traits),
        )
        marker = json.dumps(asdict(stored), ensure_ascii=False)
        (self._folder / MARKER_NAME).write_text(marker, encoding="utf-8", errors="backslashreplace")
        return stored

    def _fingerprint(self) -> Fingerprint:
        shown = _distinct([window for window in self._windows if window.kind == "window"])
        places = sorted({0, len(shown) // 2, len(shown) - 1})
        return fingerprint([decode_jpeg((self._folder / shown[place]).read_bytes()) for place in places])


@dataclass(frozen=True, slots=True)
class FrameFile:
    """One frame file; if `problem` says why it is unusable, the other fields are empty."""

    size_wh: tuple[int, int] = (0, 0)
    digest: str = ""
    problem: str = ""


def inspect_frames(
    folder: Path, frames: Iterable[str], *, jobs: int = 2, progress: ProgressCallback = no_progress
) -> dict[str, FrameFile]:
    """Decodes every frame once, in `jobs` threads; returns the results by path in the dataset."""
    names = list(dict.fromkeys(frames))
    pictures: dict[str, FrameFile] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for name, picture in zip(names, pool.map(lambda name: _inspect(folder, name), names), strict=True):
            pictures[name] = picture
            progress(len(pictures), len(names), name)
    return pictures


def _inspect(folder: Path, name: str) -> FrameFile:
    try:
        data = read_frame(folder, name)
        image = decode_jpeg(data)
    except DatasetError as error:
        return FrameFile(problem=str(error))
    except ValueError:
        return FrameFile(problem=f"{name} is no readable JPEG")
    height, width = image.shape[:2]
    return FrameFile((width, height), hashlib.sha256(data).hexdigest())


def read_frame(folder: Path, name: str) -> bytes:
    """Returns the bytes of a frame; raises DatasetError if it is missing, unreadable or outside the dataset."""
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{name} lies outside of the dataset's folder")
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"{name} is missing") from error
    except OSError as error:
        raise DatasetError(f"{name} cannot be read ({error.strerror})") from error


def clip_fingerprints(
    folder: Path, frames: Mapping[str, list[str]], *, progress: ProgressCallback = no_progress
) -> dict[str, Fingerprint]:
    """Returns the fingerprint of each clip, from its readable frames; clips without any are omitted."""
    prints: dict[str, Fingerprint] = {}
    for done, (clip, names) in enumerate(frames.items(), start=1):
        if names:
            prints[clip] = fingerprint(_three(folder, names))
        progress(done, len(frames), clip)
    return prints


def _three(folder: Path, names: list[str]) -> list[RGB]:
    places = sorted({0, len(names) // 2, len(names) - 1})
    return [decode_jpeg(read_frame(folder, names[place])) for place in places]
