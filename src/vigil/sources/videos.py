"""The video files under a folder, as datasets and scores find them."""

from pathlib import Path

from vigil.errors import SourceError

EXTENSIONS = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".flv", ".h264", ".h265", ".hevc", ".m2ts", ".m4v"}
    | {".mjpeg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


def is_video(path: Path) -> bool:
    """Whether a name looks like that of a video file; hidden names never do."""
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")


def find_videos(folder: Path) -> list[Path]:
    """Every video file under `folder`, at any depth, sorted by path.

    Hidden files and folders are left out. Unreadable and empty files are listed: to leave them out is
    for the caller to say aloud. Raises SourceError when there is no such folder.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder that can be read; name the folder that holds the videos")
    found = (path for path in folder.rglob("*") if is_video(path) and not path.is_dir())
    return sorted(path for path in found if not _hidden(path.relative_to(folder)))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
