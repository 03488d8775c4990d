"""Files that a job writes: their places are looked at before the work, and a failure says what to do.

check_file(path, "--json")      raises UsageError where no file can be written
check_folder(path, "--out")     raises UsageError where no folder can be made or filled

What shows people or holds secrets is made for its owner only, whatever the umask (`make_private_folder`, `for_owner`),
and what an earlier version left open to everybody is closed (`close_to_others`).

Files that are whole or not there: written beside their place, flushed to the disk, then renamed.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vigil.errors import DatasetError, UsageError
from vigil.file_names import beside

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "make room on the disk, then run the same command again",
    errno.EDQUOT: "make room under your quota, then run the same command again",
    errno.EACCES: "name another place, or ask for the right to use it",
    errno.EPERM: "name another place, or ask for the right to use it",
    errno.EROFS: "name a place that can be written to",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "name another place"),
}


def explain_os_error(error: OSError, path: Path | str = "") -> str:
    """What a failure of the system means to the person at the keyboard, on one line."""
    place = path or error.filename or ""
    what = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno or 0, "mend that, then run the same command again")
    return f"{place}: {what}; {advice}" if place else f"{what}; {advice}"


def require_writable_file(path: Path | None, option: str) -> None:
    """Raises UsageError where a file cannot be written; None is no file."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file")
    _check_writable(_above(path), f"{option} {path}")


def require_writable_folder(path: Path, option: str) -> None:
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


def make_private_folder(path: Path) -> None:
    """Makes a folder that only its owner can enter, and what is missing above it as usual; raises OSError."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def for_owner(path: str, flags: int) -> int:
    """Opens a file as `open(..., opener=for_owner)` does, made so that only its owner can read it."""
    return os.open(path, flags, PRIVATE_FILE)


def is_open_to_others(path: Path) -> bool:
    """Whether it is this user's, and everybody may look into it; what somebody set for a group is theirs to set."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and bool(found.st_mode & stat.S_IRWXO)


def keep_private(path: Path) -> None:
    """Leaves a file or folder that was just made to its owner; on a disk without rights nothing can be done."""
    with suppress(OSError):
        path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def close_to_others(path: Path) -> None:
    """Leaves a file or folder of this user's to its owner, where everybody could look into it."""
    if is_open_to_others(path):
        keep_private(path)


PARTIAL = ".partial"


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all; raises DatasetError when the disk is full or refuses."""
    partial = beside(path, PARTIAL)
    with os_errors_as(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises DatasetError when it cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path} is not in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not valid JSON: {error}") from error


@contextmanager
def os_errors_as(path: Path) -> Iterator[None]:
    """Turns an error of the file system while `path` is written into a DatasetError that says what to do."""
    try:
        yield
    except OSError as error:
        raise DatasetError(write_problem(path, error)) from error


def write_problem(path: Path, error: OSError) -> str:
    """What a failed write means to the person who started the job."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"the disk is full: {path} could not be written; what is complete was kept, so make room and run "
            "the same command again"
        )
    return f"{path} cannot be written: {error.strerror or error}"
