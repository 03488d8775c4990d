"""Quotas for the upload folder: per visitor, in total, and the free space that the disk must keep.

A file counts for the visitor who sent it while it exists; the remains of a broken upload count until they are swept.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vigil.errors import UsageError

MB = 1024 * 1024
FEWEST_BYTES = 256 * 1024
"""A smaller file counts as this much, so that many small files are limited too."""

Reason = Literal["visitor", "all", "disk", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bytes per file, per visitor and in total, free bytes to keep, and the number of concurrent uploads."""

    file_bytes: int = 500 * MB
    visitor_bytes: int = 2000 * MB
    total_bytes: int = 10_000 * MB
    free_bytes: int = 500 * MB
    at_once: int = 16
    visitor_at_once: int = 3

    @classmethod
    def of_mb(cls, *, upload: int, visitor: int | None, total: int | None, free: int) -> "UploadLimits":
        """Limits in MB from the command line; defaults leave space for several of the largest files.

        Raises UsageError if a limit is smaller than the one it must hold.
        """
        each = max(2000, 4 * upload) if visitor is None else visitor
        every = max(10_000, 5 * each) if total is None else total
        if not upload <= each <= every:
            raise UsageError(
                f"--upload-mb {upload}, --uploads-visitor-mb {each}, --uploads-total-mb {every}: "
                "none may be below the one before it"
            )
        if free < 0:
            raise UsageError(f"--keep-free-mb {free}: give 0 or more")
        return cls(file_bytes=upload * MB, visitor_bytes=each * MB, total_bytes=every * MB, free_bytes=free * MB)


class OverQuota(Exception):
    """An upload that exceeds a quota, with the reason."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(reason)


@dataclass(eq=False, slots=True)
class Booking:
    """Space reserved for a running upload, and how much of it has arrived."""

    visitor: str
    bytes: int
    came_bytes: int = 0

    @property
    def to_come_bytes(self) -> int:
        """Bytes that are not on the disk yet."""
        return max(0, self.bytes - self.came_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was found on the disk: time of the measurement, files, their total size, and free bytes."""

    at_s: float
    files: frozenset[Path]
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Space that counts for a visitor: a file while it exists, or the remains of a broken upload for a time."""

    visitor: str
    bytes: int
    kept_s: float
    file: Path | None = None

    def takes_space(self, measured: Measured, keep_s: float) -> bool:
        """Whether it still takes space; files newer than the measurement do."""
        if self.file is None:
            return measured.at_s < self.kept_s + keep_s
        return self.kept_s > measured.at_s or self.file in measured.files


class UploadQuota:
    """Who has uploaded how much. Used from the event loop's thread only, except `measure`."""

    def __init__(
        self, folder: Path, limits: UploadLimits, *, keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder.resolve()
        self.limits = limits
        self._keep_s = keep_s
        self._clock = clock
        self._kept: list[_Kept] = []
        self._running: list[Booking] = []

    def measure(self) -> Measured:
        """Measures the folder; may be slow, so it can run in any thread."""
        at_s = self._clock()
        found = sizes_of(self.folder)
        # A file with several hard links counts once.
        once = {status[:2]: status[2] for status in found.values()}
        return Measured(
            at_s=at_s,
            files=frozenset(found),
            total_bytes=sum(once.values()),
            free_bytes=shutil.disk_usage(self.folder).free,
        )

    def book(self, visitor: str, size_bytes: int, measured: Measured) -> Booking:
        """Books space for an upload; raises OverQuota."""
        size_bytes = max(size_bytes, FEWEST_BYTES)
        self._kept = [each for each in self._kept if each.takes_space(measured, self._keep_s)]
        self.check_running(visitor)
        self._check_room(visitor, size_bytes, measured)
        booking = Booking(visitor, size_bytes)
        self._running.append(booking)
        return booking

    def keep(self, booking: Booking, files: Iterable[Path], *, is_broken: bool = False) -> None:
        """Ends an upload and counts its files; with `is_broken`, counts an unknown partial file if there are none."""
        self._running.remove(booking)
        now_s, visitor = self._clock(), booking.visitor
        existing = [(path, size) for path in self._of_ours(files) if (size := _size_bytes(path)) is not None]
        self._kept += [_Kept(visitor=visitor, bytes=size, kept_s=now_s, file=path) for path, size in existing]
        if is_broken and not existing and booking.came_bytes:
            left_bytes = max(booking.came_bytes, FEWEST_BYTES)
            self._kept.append(_Kept(visitor=visitor, bytes=left_bytes, kept_s=now_s))

    def _of_ours(self, files: Iterable[Path]) -> set[Path]:
        return {path for path in (file.resolve() for file in files) if path.is_relative_to(self.folder)}

    def check_running(self, visitor: str) -> None:
        """Raises OverQuota if too many uploads are running."""
        of_visitor = sum(each.visitor == visitor for each in self._running)
        if len(self._running) >= self.limits.at_once or of_visitor >= self.limits.visitor_at_once:
            raise OverQuota("busy")

    def _check_room(self, visitor: str, size_bytes: int, measured: Measured) -> None:
        to_come_bytes = size_bytes + sum(each.to_come_bytes for each in self._running)
        if self._bytes_of(visitor) + size_bytes > self.limits.visitor_bytes:
            raise OverQuota("visitor")
        if measured.total_bytes + to_come_bytes > self.limits.total_bytes:
            raise OverQuota("all")
        if measured.free_bytes - to_come_bytes < self.limits.free_bytes:
            raise OverQuota("disk")

    def _bytes_of(self, visitor: str) -> int:
        """Bytes of one visitor's uploads, each file once."""
        files = {each.file: each.bytes for each in self._kept if each.visitor == visitor and each.file is not None}
        broken = sum(each.bytes for each in self._kept if each.visitor == visitor and each.file is None)
        return sum(files.values()) + broken + sum(each.bytes for each in self._running if each.visitor == visitor)


def sizes_of(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Every file below a folder, with its device, inode and the bytes that it counts for."""
    found: dict[Path, tuple[int, int, int]] = {}
    for name, _, files in os.walk(folder):
        for path in [Path(name, file) for file in files]:
            with suppress(OSError):
                status = path.stat()
                found[path] = (status.st_dev, status.st_ino, max(status.st_size, FEWEST_BYTES))
    return found


def _size_bytes(path: Path) -> int | None:
    """The bytes that a file counts for; None if it is gone."""
    with suppress(OSError):
        return max(path.stat().st_size, FEWEST_BYTES)
    return None
