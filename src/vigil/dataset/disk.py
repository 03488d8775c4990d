"""Files that are whole or not there: written beside their place, flushed to the disk, then renamed."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vigil.errors import DatasetError
from vigil.file_names import beside

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
