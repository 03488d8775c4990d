"""The frames of a dataset as they lie on disk: whether they can be read, their size, their bytes by digest."""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vigil.dataset.fingerprints import Fingerprint, fingerprint
from vigil.dataset.worker import ProgressCallback, no_progress
from vigil.errors import DatasetError
from vigil.frames import RGB, decode_jpeg


@dataclass(frozen=True, slots=True)
class FrameFile:
    """One frame file; `problem` says why it cannot be used, and then the rest is empty."""

    size_wh: tuple[int, int] = (0, 0)
    digest: str = ""
    problem: str = ""


def inspect_frames(
    folder: Path, frames: Iterable[str], *, jobs: int = 2, progress: ProgressCallback = no_progress
) -> dict[str, FrameFile]:
    """Every frame decoded once, by its path in the dataset."""
    names = list(dict.fromkeys(frames))
    pictures: dict[str, FrameFile] = {}
    with ThreadPoolExecutor(jobs) as pool:
        for name, picture in zip(names, pool.map(lambda name: _look(folder, name), names), strict=True):
            pictures[name] = picture
            progress(len(pictures), len(names), name)
    return pictures


def _look(folder: Path, name: str) -> FrameFile:
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
    """The bytes of a frame; raises DatasetError when it is missing, or lies outside of the dataset."""
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
    """The fingerprint of each clip from its readable frames, by clip."""
    prints: dict[str, Fingerprint] = {}
    for done, (clip, names) in enumerate(frames.items(), start=1):
        if names:
            prints[clip] = fingerprint(_three(folder, names))
        progress(done, len(frames), clip)
    return prints


def _three(folder: Path, names: list[str]) -> list[RGB]:
    places = sorted({0, len(names) // 2, len(names) - 1})
    return [decode_jpeg(read_frame(folder, names[place])) for place in places]
