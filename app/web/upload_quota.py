"""How much visitors may keep in the folder of uploads: each of them, all together, and what the disk must have left.

A file counts for the visitor who sent it as long as it lies there; what an upload that broke off left behind counts
until it is swept.
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
"""A file counts as no less, so that many small ones are limited too."""

Reason = Literal["visitor", "all", "disk", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadLimits:
    """Bytes of one file, of one visitor's, of everybody's, and what must stay free; uploads that run at once."""

    file_bytes: int = 500 * MB
    visitor_bytes: int = 2000 * MB
    total_bytes: int = 10_000 * MB
    free_bytes: int = 500 * MB
    at_once: int = 16
    visitor_at_once: int = 3

    @classmethod
    def of_mb(cls, *, upload: int, visitor: int | None, total: int | None, free: int) -> "UploadLimits":
        """From what the command line says; what is not said leaves room for several of the largest files.

        Raises UsageError for limits that leave no room for one of the largest files.
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
    """An upload that there is no room for, and why."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(reason)


@dataclass(eq=False, slots=True)
class Booking:
    """Room for an upload that runs: what it takes, and how much of that has come."""

    visitor: str
    bytes: int
    came_bytes: int = 0

    @property
    def to_come_bytes(self) -> int:
        """What is not on the disk yet."""
        return max(0, self.bytes - self.came_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What lies on the disk: since when that is known, each file, bytes in all, and bytes that are free."""

    at_s: float
    files: frozenset[Path]
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Something of a visitor's that takes room: a file, as long as it is there, or what broke off, for a time."""

    visitor: str
    bytes: int
    kept_s: float
    file: Path | None = None

    def is_there(self, measured: Measured, keep_s: float) -> bool:
        """Whether it still takes room; what came after the look at the disk does."""
        if self.file is None:
            return measured.at_s < self.kept_s + keep_s
        return self.kept_s > measured.at_s or self.file in measured.files


class UploadQuota:
    """Who has sent how much; used in the thread of the event loop, but for `measure`."""

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
        """Looks at the disk: for any thread, as it may take a while."""
        at_s = self._clock()
        found = sizes_of(self.folder)
        # A file with several names takes its room once.
        once = {status[:2]: status[2] for status in found.values()}
        return Measured(
            at_s=at_s,
            files=frozenset(found),
            total_bytes=sum(once.values()),
            free_bytes=shutil.disk_usage(self.folder).free,
        )

    def book(self, visitor: str, size_bytes: int, measured: Measured) -> Booking:
        """Room for an upload; raises OverQuota."""
        size_bytes = max(size_bytes, FEWEST_BYTES)
        self._kept = [each for each in self._kept if each.is_there(measured, self._keep_s)]
        self.check_running(visitor)
        self._check_room(visitor, size_bytes, measured)
        booking = Booking(visitor, size_bytes)
        self._running.append(booking)
        return booking

    def keep(self, booking: Booking, files: Iterable[Path], *, is_broken: bool = False) -> None:
        """An upload is over; these files are what it left, or else a part that nobody knows, where it is broken."""
        self._running.remove(booking)
        now_s, visitor = self._clock(), booking.visitor
        there = [(path, size) for path in self._of_ours(files) if (size := _size_bytes(path)) is not None]
        self._kept += [_Kept(visitor=visitor, bytes=size, kept_s=now_s, file=path) for path, size in there]
        if is_broken and not there and booking.came_bytes:
            left_bytes = max(booking.came_bytes, FEWEST_BYTES)
            self._kept.append(_Kept(visitor=visitor, bytes=left_bytes, kept_s=now_s))

    def _of_ours(self, files: Iterable[Path]) -> set[Path]:
        return {path for path in (file.resolve() for file in files) if path.is_relative_to(self.folder)}

    def check_running(self, visitor: str) -> None:
        """Raises OverQuota where as many uploads run as may."""
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
        """What one visitor has sent, each file once."""
        files = {each.file: each.bytes for each in self._kept if each.visitor == visitor and each.file is not None}
        broken = sum(each.bytes for each in self._kept if each.visitor == visitor and each.file is None)
        return sum(files.values()) + broken + sum(each.bytes for each in self._running if each.visitor == visitor)


def sizes_of(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Every file below a folder: its device, its number there, and what it counts for in bytes."""
    found: dict[Path, tuple[int, int, int]] = {}
    for name, _, files in os.walk(folder):
        for path in [Path(name, file) for file in files]:
            with suppress(OSError):
                status = path.stat()
                found[path] = (status.st_dev, status.st_ino, max(status.st_size, FEWEST_BYTES))
    return found


def _size_bytes(path: Path) -> int | None:
    """What a file counts for; None for one that is gone."""
    with suppress(OSError):
        return max(path.stat().st_size, FEWEST_BYTES)
    return None
