"""Uploaded files: one folder per start of the server, in it one per visitor; all are removed in the end.

The type of a file is detected by content. Its original name is only displayed, never used as a path. Gradio stores
an upload under that name in a folder of its own; pages hand on that file (`sent`).
"""

import fcntl
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from vigil.errors import SourceError, UsageError, VigilError
from vigil.sources.address import Address, read_camera_file, strip_invisible
from vigil.sources.image_worker import worker

PRIVATE = 0o700
START = re.compile(r"start-[0-9a-f]{16}")
"""The folder of one start; anything else beside it is left alone."""

CAMERA_BYTES = 64_000
PLAYED = {"h264": "mp4", "av1": "mp4", "vp8": "webm", "vp9": "webm"}
"""Codecs that Chromium and Firefox play, and the container for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An inspected file: `name` is for display, `path` is our copy, `sent` is where Gradio stored it.

    `format` is set for pictures, `address` for a camera.txt. `is_playable` says whether browsers can play the video.
    """

    kind: Literal["picture", "video", "camera"]
    name: str
    path: Path
    sent: Path
    format: str = ""
    address: Address | None = None
    is_playable: bool = False


@dataclass(frozen=True, slots=True)
class Uploads:
    """The upload folder of one start; files are removed `keep_s` after their last use.

    `lock` is an open file, locked while the server runs, so that another server beside it leaves the folder alone.
    """

    folder: Path
    keep_s: float
    lock: int | None = field(default=None, repr=False, compare=False)

    @classmethod
    def make(cls, parent: Path, *, keep_s: float) -> "Uploads":
        """Creates a private folder with a random name below `parent`, and removes those of servers that were killed."""
        for left in [path for path in parent.glob("start-*") if START.fullmatch(path.name) and path.is_dir()]:
            _remove_left(left, keep_s)
        folder = parent.resolve() / f"start-{secrets.token_hex(8)}"
        folder.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        lock = os.open(_lock_of(folder), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.mkdir(mode=PRIVATE)
        return cls(folder, keep_s, lock)

    def visitor_folder(self) -> Path:
        """Creates a folder for one visitor; keep it in a `gr.State`."""
        folder = self.folder / secrets.token_urlsafe(18)
        folder.mkdir(mode=PRIVATE, parents=True)
        return folder

    def take(self, sent: Path, folder: Path) -> Upload:
        """Inspects an uploaded file and keeps it in a visitor's folder under a name of ours.

        Raises SourceError, with a message for the visitor, if it is neither picture, video nor camera.txt.
        """
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        upload = inspect_upload(sent)
        path = folder / f"{secrets.token_hex(8)}{_ending(upload)}"
        try:
            os.link(sent, path)
        except OSError:
            shutil.copyfile(sent, path)
        path.touch()
        return replace(upload, path=path)

    def exists(self, upload: Upload) -> bool:
        """Whether the file still exists; asking extends its life."""
        try:
            os.utime(upload.path)
        except OSError:
            return False
        with suppress(OSError):
            os.utime(upload.sent)
        return True

    def keep(self, folder: Path) -> None:
        """Extends the life of a visitor's folder, even if it is empty."""
        with suppress(OSError):
            os.utime(folder)

    def sweep(self) -> int:
        """Removes files unused for `keep_s` and folders left empty; returns the number of files."""
        oldest_s = time.time() - self.keep_s
        removed = 0
        for name, folders, files in os.walk(self.folder, topdown=False):
            removed += sum(_unlinked(Path(name, file), oldest_s) for file in files)
            for folder in folders:
                _remove_empty(Path(name, folder), oldest_s)
        return removed

    def remove(self) -> None:
        """Removes everything, when the server stops."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _lock_of(self.folder).unlink(missing_ok=True)
        if self.lock is not None:
            os.close(self.lock)


def _lock_of(folder: Path) -> Path:
    """The lock file, outside the folder so that it is not swept."""
    return folder.with_name(f"{folder.name}.lock")


def _remove_left(folder: Path, keep_s: float) -> None:
    """Removes the folder of a server that no longer runs; without a lock file, once it is old enough."""
    lock = _lock_of(folder)
    with suppress(OSError):
        if not lock.exists():
            if all(path.stat().st_mtime < time.time() - keep_s for path in [folder, *folder.rglob("*")]):
                shutil.rmtree(folder, ignore_errors=True)
            return
        with lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _unlinked(path: Path, oldest_s: float) -> bool:
    """Removes a file older than `oldest_s`; it may be gone already."""
    with suppress(OSError):
        if path.stat().st_mtime < oldest_s:
            path.unlink()
            return True
    return False


def _remove_empty(folder: Path, oldest_s: float) -> None:
    with suppress(OSError):
        if folder.stat().st_mtime < oldest_s:
            folder.rmdir()


def inspect_upload(path: Path) -> Upload:
    """Detects a file's type by content; raises SourceError if nothing can be asked about it.

    Media are decoded in a separate process, one at a time, because a stranger's file may be malicious.
    """
    name = strip_invisible(path.name)
    try:
        if path.stat().st_size == 0:
            raise SourceError(f"{name} is empty (0 bytes)")
        if _is_text(path):
            return Upload(kind="camera", name=name, path=path, sent=path, address=_camera_in(path))
        content = worker().inspect(path)
    except VigilError as error:
        raise SourceError(str(error).replace(str(path), name)) from error
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror or error}") from error
    if content.kind == "picture":
        return Upload(kind="picture", name=name, path=path, sent=path, format=content.format)
    playable = _container(path) in {"mp4", "webm"} and content.codec in PLAYED
    return Upload(kind="video", name=name, path=path, sent=path, is_playable=playable)


def _camera_in(path: Path) -> Address:
    """The camera that a text file names; what is called `clip.mp4` and holds other text is no camera file."""
    try:
        return read_camera_file(path)
    except UsageError as error:
        if path.suffix.lower() in {"", ".txt"}:
            raise
        raise SourceError(f"{path} holds text, neither a video, a picture nor the address of a camera") from error


def _is_text(path: Path) -> bool:
    if path.stat().st_size > CAMERA_BYTES:
        return False
    data = path.read_bytes()
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return all(character.isprintable() or character in "\t\r\n\ufeff" for character in data.decode(encoding))
    except UnicodeDecodeError:
        return False


def _container(path: Path) -> str:
    """The container by its first bytes, as far as it matters to browsers."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "mp4"
    return "webm" if head[:4] == b"\x1a\x45\xdf\xa3" else ""


def _ending(upload: Upload) -> str:
    """The file extension for its real type; never the original one."""
    if upload.kind == "camera":
        return ".txt"
    if upload.kind == "video":
        return f".{_container(upload.path)}" if upload.is_playable else ".bin"
    return f".{upload.format.lower()}"
