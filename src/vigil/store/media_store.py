"""Where media files are kept: a folder on this machine, or anything else that has these few acts (`MediaStore`).

A file is known by its key, a relative path: `clips/ID.mp4`, `snapshots/ID.jpg`. The judged frames of a window are one
item of several files, below the key `frames/ID/WINDOW`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from vigil.files import PARTIAL, atomic_folder, atomic_path, keep_private, make_private_folder

MediaKind: TypeAlias = Literal["snapshots", "clips", "frames"]
KINDS: tuple[MediaKind, ...] = ("snapshots", "clips", "frames")
FRAMES = "frames"
COPIES = "copies"
"""The folder of local copies of what is kept elsewhere."""

WriteMedia: TypeAlias = Callable[[Path], object]
"""Writes a file at the given path, or for frames fills the folder there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMedia:
    """An item that is there: its key, its size, and when it was last written, in seconds since 1970."""

    key: str
    size_bytes: int
    modified_s: float


class MediaStore(Protocol):
    """What keeps media files. Every act may raise OSError or StoreError, and may be tried again.

    `name` says where, and below `folder` are the files themselves or, of what is kept elsewhere, local copies.
    """

    name: str
    folder: Path

    def put(self, key: str, write: WriteMedia) -> int:
        """Keeps what `write` creates at a local path; whole or not at all. Returns its size in bytes."""

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file, from `start` on; raises FileNotFoundError."""

    def size_bytes(self, key: str) -> int:
        """The size of a file; raises FileNotFoundError."""

    def items(self, kind: str = "") -> Iterator[StoredMedia]:
        """All complete items (below `clips`, `snapshots` or `frames`, or below all three)."""

    def delete(self, key: str) -> None:
        """Deletes an item if it is there."""

    def local(self, key: str) -> Path:
        """A path of this machine with an item's content, for programs that need one; raises FileNotFoundError."""

    def clean(self, *, before_s: float) -> list[str]:
        """Deletes what killed writers left half written, and local copies, older than `before_s`; returns names."""


class FolderMediaStore:
    """Media in a folder: written under a temporary name (`x.partial.mp4`), synced to the disk, then renamed."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self.folder = root

    def put(self, key: str, write: WriteMedia) -> int:
        """See `MediaStore.put`."""
        path = self.folder / key
        for folder in reversed(path.parents[:3]):
            make_private_folder(folder)
        with atomic_folder(path) if is_folder(key) else atomic_path(path, keep_suffix=True) as partial:
            write(partial)
            keep_private(partial)
            return sum(_make_private(file) for file in list_files(partial))

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See `MediaStore.read`."""
        with (self.folder / key).open("rb") as file:
            file.seek(start)
            return file.read(-1 if length is None else length)

    def size_bytes(self, key: str) -> int:
        """See `MediaStore.size_bytes`."""
        return (self.folder / key).stat().st_size

    def items(self, kind: str = "") -> Iterator[StoredMedia]:
        """See `MediaStore.items`."""
        for each in [kind] if kind else KINDS:
            for path in (self.folder / each).glob("*/*" if each == FRAMES else "*"):
                if PARTIAL not in path.name:
                    with suppress(FileNotFoundError):
                        yield self._item(path)

    def _item(self, path: Path) -> StoredMedia:
        size_bytes = sum(file.stat().st_size for file in list_files(path))
        key = path.relative_to(self.folder).as_posix()
        return StoredMedia(key=key, size_bytes=size_bytes, modified_s=path.stat().st_mtime)

    def delete(self, key: str) -> None:
        """See `MediaStore.delete`."""
        remove_media(self.folder / key)

    def local(self, key: str) -> Path:
        """See `MediaStore.local`."""
        path = self.folder / key
        path.stat()
        return path

    def clean(self, *, before_s: float) -> list[str]:
        """See `MediaStore.clean`."""
        return delete_partials(self.folder, before_s=before_s)


def is_folder(key: str) -> bool:
    """Whether an item consists of several files."""
    return key.startswith(f"{FRAMES}/")


def list_files(path: Path) -> list[Path]:
    """The file itself, or all files in a folder."""
    return sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]


def remove_media(path: Path) -> None:
    """Deletes a media file if it exists, and the event's folder of frames once it is empty."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if path.parent.parent.name == FRAMES:
        with _quietly():
            path.parent.rmdir()


def delete_partials(root: Path, *, before_s: float) -> list[str]:
    """Deletes temporary files that have not changed since; returns their paths."""
    old: list[Path] = []
    for kind in KINDS:
        for path in sorted((root / kind).rglob(f"*{PARTIAL}*")):
            # What lies in a temporary folder goes with it.
            if path.exists() and path.stat().st_mtime < before_s:
                remove_media(path)
                old.append(path)
    return [str(path) for path in old]


def _make_private(path: Path) -> int:
    """Makes a file private; returns its size in bytes."""
    keep_private(path)
    return path.stat().st_size


@contextmanager
def _quietly() -> Iterator[None]:
    try:
        yield
    except OSError:
        return
