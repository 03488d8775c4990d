"""Rows that the database rejected, kept beside it as JSON lines so that a user can see what was wrong."""

import json
import logging
from dataclasses import asdict, is_dataclass
from pathlib import Path

from vigil.files import for_owner, make_private_folder
from vigil.store.times import utc_now

log = logging.getLogger(__name__)

REFUSED = "refused.jsonl"
MOST_BYTES = 10_000_000
"""The file grows no further than this: if every verdict of a camera is rejected, it must not fill the disk."""


class RejectedRows:
    """The file of rejected rows in a store's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / REFUSED

    def append(self, row: object, *, what: str, why: str) -> None:
        """Appends a row as a JSON line, up to a maximum file size; never raises, but logs a warning if that fails."""
        try:
            _append(self._path, row, what=what, why=why)
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s was refused and could not be set aside: %s", what, error)


def _append(path: Path, row: object, *, what: str, why: str) -> None:
    line = json.dumps({"refused_utc": utc_now(), "what": what, "why": why, "row": _plain(row)}, default=str)
    make_private_folder(path.parent)
    with open(path, "a", encoding="ascii", opener=for_owner) as out:
        if out.tell() < MOST_BYTES:
            out.write(f"{line}\n")


def _plain(row: object) -> object:
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else row
