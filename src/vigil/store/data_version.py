"""Tells at next to no cost whether anything was committed to a store, so that what was read of it may be kept."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

CommittedVersion: TypeAlias = tuple[int, int]
"""The connection that was asked, counted, and what SQLite told it; only equality means anything."""

T = TypeVar("T")


class DataVersion:
    """The version of what a SQLite file holds, by `PRAGMA data_version`; thread-safe.

    SQLite changes it for every connection but the one that commits, so this has one of its own, which never writes.
    Asking takes some microseconds and waits for nobody. PostgreSQL has nothing like it: there `now` is always None.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def now(self) -> CommittedVersion | None:
        """Equal to what an earlier call returned only if nothing was committed in between; None if it is not known."""
        if self._path is None:
            return None
        with self._lock:
            try:
                version = self._asked(self._path)
                return self._opened, version
            except (sqlite3.Error, OSError, ValueError):
                self._close()
                return None

    def close(self) -> None:
        """Closes the connection; a later call opens another one."""
        with self._lock:
            self._close()

    def _asked(self, path: Path) -> int:
        if self._connection is None:
            # Opened for reading and writing, as a reader of the write-ahead log may have to make its index; a file
            # that is not there is not made.
            uri = f"{path.absolute().as_uri()}?mode=rw"
            self._connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
            self._opened += 1
        [(version,)] = self._connection.execute("PRAGMA data_version").fetchall()
        return int(version)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    version: CommittedVersion
    value: T


class KeptReading(Generic[T]):
    """What `read` returned, for as long as nothing is committed to the store that it reads; thread-safe.

    `version` is that of the store, as `DataVersion.now` tells it; with None, everything is read each time.
    """

    def __init__(self, version: Callable[[], CommittedVersion | None], read: Callable[[], T]) -> None:
        self._version = version
        self._read = read
        self._kept: _Kept[T] | None = None

    def now(self) -> T:
        """What the store holds; raises what `read` raises."""
        # Asked before reading: what is committed meanwhile then counts as not read, which is the safe way round.
        version, kept = self._version(), self._kept
        if kept is not None and kept.version == version:
            return kept.value
        value = self._read()
        self._kept = None if version is None else _Kept(version, value)
        return value
