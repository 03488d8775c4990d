"""Writing files safely: checks before the work starts, atomic writes, private permissions, helpful errors.

require_writable_file(path, "--json")      raises UsageError if no file can be written there
require_writable_folder(path, "--out")     raises UsageError if the folder cannot be created or written to

Files that show people or hold secrets are created for their owner only, whatever the umask (`make_private_folder`,
`for_owner`); those that an earlier version left readable by everyone are closed (`close_to_others`).

write_atomically(path, text)               a text file, written completely or not at all
write_json(path, data)                     the same, as indented JSON
with atomic_path(path) as partial: ...     a file that is written piece by piece, or by a library
with atomic_folder(path) as partial: ...   a folder with all that is in it

These four are the only place where Vigil writes under a temporary name (`x.json.partial`, beside the file) and renames:
a reader of `x.json` finds the old content or the new one, never a part, and a failure leaves the old one. Before the
rename the content is synced to the disk, and after it the folder, so that a power failure does not undo what was
reported as done, nor leave an empty file under the final name. Each sync takes milliseconds: `sync=False` leaves it
out where there are thousands of files and the next run finds damaged ones by their digest and makes them again (the
frames of a dataset).
"""

import errno
import json
import os
import shutil
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
    """Returns one line on what an operating system error means and what the user can do about it."""
    place = path or error.filename or ""
    what = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno or 0, "fix that, then run the same command again")
    return f"{place}: {what}; {advice}" if place else f"{what}; {advice}"


def require_writable_file(path: Path | None, option: str) -> None:
    """Raises UsageError if a file cannot be written; does nothing if `path` is None."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder; name a file")
    _check_writable(_above(path), f"{option} {path}")


def require_writable_folder(path: Path, option: str) -> None:
    """Raises UsageError if a folder cannot be created or written to."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{option} {path} is a file; name a folder")
    _check_writable(path if path.exists() else _above(path), f"{option} {path}")


def _above(path: Path) -> Path:
    """Returns the nearest parent folder that exists."""
    return next(folder for folder in path.absolute().parents if os.path.lexists(folder))


def _check_writable(folder: Path, what: str) -> None:
    if not folder.is_dir():
        raise UsageError(f"{what}: {folder} is no folder; name another place")
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{what}: you may not write into {folder}; name another place")


def make_private_folder(path: Path) -> None:
    """Creates a folder that only its owner can enter; missing parents get the usual permissions. Raises OSError."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def for_owner(path: str, flags: int) -> int:
    """An opener for `open(..., opener=for_owner)` that creates files readable by their owner only."""
    return os.open(path, flags, PRIVATE_FILE)


def is_open_to_others(path: Path) -> bool:
    """Returns whether the file is this user's and accessible to everyone; group permissions do not count."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and bool(found.st_mode & stat.S_IRWXO)


def keep_private(path: Path) -> None:
    """Restricts a file or folder to its owner; does nothing on file systems without permissions."""
    with suppress(OSError):
        path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def close_to_others(path: Path) -> None:
    """Restricts a file or folder of this user to its owner if everyone can access it."""
    if is_open_to_others(path):
        keep_private(path)


PARTIAL = ".partial"

CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM})
"""What syncing a folder fails with on file systems that cannot, or if the folder may be written to but not read."""


def write_atomically(path: Path, text: str, *, private: bool = False) -> None:
    """Writes a text file completely or not at all; `private` makes it readable by its owner only. Raises OSError."""
    with (
        atomic_path(path) as partial,
        open(
            partial,
            "x" if private else "w",
            encoding="utf-8",
            errors="backslashreplace",
            opener=for_owner if private else None,
        ) as file,
    ):
        file.write(text)


def write_json(path: Path, data: Any) -> None:
    """Writes indented JSON completely or not at all; raises OSError."""
    write_atomically(path, json.dumps(data, ensure_ascii=False, indent=2) + "\n")


@contextmanager
def atomic_path(
    path: Path, *, keep_suffix: bool = False, per_process: bool = False, sync: bool = True
) -> Iterator[Path]:
    """Yields a temporary path for a file, which is renamed to `path` at the end; if the block raises, it is deleted.

    With `keep_suffix` it ends like `path` (`x.partial.mp4`), for libraries that go by the suffix. With `per_process`
    several processes may make the same file at once; a killed one leaves its temporary file behind. Missing parent
    folders are created. Raises OSError.
    """
    stem, suffix = (path.with_suffix(""), path.suffix) if keep_suffix else (path, "")
    partial = beside(stem, f".{os.getpid()}{PARTIAL}{suffix}" if per_process else f"{PARTIAL}{suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    try:
        yield partial
        move_into_place(partial, path, sync=sync)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yields a new empty folder, which replaces `path` at the end; if the block raises, it is deleted.

    Missing parent folders are created. Raises OSError.
    """
    partial = beside(path, PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if path.exists():
            shutil.rmtree(path)
        move_into_place(partial, path, sync=sync)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def move_into_place(partial: Path, path: Path, *, sync: bool = True) -> None:
    """Syncs a finished file, or a folder with everything in it, and renames it; replaces a file. Raises OSError."""
    if sync:
        for each in (*(partial.rglob("*") if partial.is_dir() else ()), partial):
            _sync(each)
    partial.replace(path)
    if sync:
        _sync(path.parent)


def _sync(path: Path) -> None:
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not is_folder or error.errno not in CANNOT_SYNC:
            raise


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file; raises DatasetError if it cannot be read or is not JSON."""
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
    """Translates an OSError raised while `path` is written into a DatasetError that says what to do."""
    try:
        yield
    except OSError as error:
        raise DatasetError(write_problem(path, error)) from error


def write_problem(path: Path, error: OSError) -> str:
    """Returns the message for a failed write, with what the user can do about it."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"the disk is full: {path} could not be written; what is complete was kept, so make room and run "
            "the same command again"
        )
    return f"{path} cannot be written: {error.strerror or error}"
