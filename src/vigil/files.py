"""Files that a job writes: their places are looked at before the work, and a failure says what to do.

check_file(path, "--json")      raises UsageError where no file can be written
check_folder(path, "--out")     raises UsageError where no folder can be made or filled
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from vigil.errors import UsageError

ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "make room on the disk, then run the same command again",
    errno.EDQUOT: "make room under your quota, then run the same command again",
    errno.EACCES: "name another place, or ask for the right to use it",
    errno.EPERM: "name another place, or ask for the right to use it",
    errno.EROFS: "name a place that can be written to",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "name another place"),
}


def problem(error: OSError, path: Path | str = "") -> str:
    """What a failure of the system means to the person at the keyboard, on one line."""
    place = path or error.filename or ""
    what = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno or 0, "mend that, then run the same command again")
    return f"{place}: {what}; {advice}" if place else f"{what}; {advice}"


def check_file(path: Path | None, option: str) -> None:
    """Raises UsageError where a file cannot be written; None is no file."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file")
    _check_writable(_above(path), f"{option} {path}")


def check_folder(path: Path, option: str) -> None:
    """Raises UsageError where a folder cannot be made, or nothing written into it."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{option} {path} is a file; name a folder")
    _check_writable(path if path.exists() else _above(path), f"{option} {path}")


def _above(path: Path) -> Path:
    """The nearest folder above that is there."""
    return next(folder for folder in path.absolute().parents if os.path.lexists(folder))


def _check_writable(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise UsageError(f"{what}: {folder} is no folder; name another place")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{what}: you may not write into {folder}; name another place")
