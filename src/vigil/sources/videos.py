"""The video files under a folder: one list of endings and one walk for watching, datasets and scores."""

import os
from collections.abc import Iterator
from pathlib import Path

from vigil.errors import SourceError

EXTENSIONS = frozenset(
    {
        ".264",
        ".265",
        ".3g2",
        ".3gp",
        ".asf",
        ".avi",
        ".dav",
        ".divx",
        ".flv",
        ".h264",
        ".h265",
        ".hevc",
        ".m2ts",
        ".m4v",
    }
    | {".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


def is_video(path: Path) -> bool:
    """Whether a name looks like that of a video file; hidden names never do."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def find_videos(folder: Path) -> list[Path]:
    """Every video file under `folder`, at any depth, sorted by path.

    Unreadable and empty files are listed: to leave them out is for the caller to say aloud. Raises SourceError when
    there is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder that can be read; name the folder that holds the videos")
    return sorted(path for path in walk_files(folder) if is_video(path) and not path.is_dir())


def walk_files(folder: Path) -> Iterator[Path]:
    """The files below a folder; links are followed, each real folder once, hidden names left out."""
    entered: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        real = Path(root).resolve()
        folders[:] = [] if real in entered else sorted(name for name in folders if not name.startswith("."))
        if real not in entered:
            yield from (Path(root) / name for name in names if not name.startswith("."))
        entered.add(real)
