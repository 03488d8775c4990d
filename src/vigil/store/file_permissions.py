"""Rights of a store: it shows people, so what an earlier version left open to everybody is closed.

Databases, folders and media are made for their owner only. Rights that somebody gave to a group stay.
"""

from pathlib import Path

from vigil.files import close_to_others, is_open_to_others
from vigil.store.media import KINDS
from vigil.store.rejected_rows import REFUSED
from vigil.store.sessions import FOLDER

BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite keeps beside a database, behind its name."""

OURS = frozenset({*KINDS, FOLDER, REFUSED, "room.yaml", "room.yaml.partial"})


def restrict_store_files(folder: Path, database: Path | None) -> None:
    """Closes a store's database, media and folder to everybody else, where they are this user's.

    The folder itself only where nothing but the store lies in it: it may be one that people share.
    """
    files = [] if database is None else [database.with_name(f"{database.name}{end}") for end in BESIDE]
    for file in files:
        close_to_others(file)
    for kind in (*KINDS, FOLDER):
        _close_all(folder / kind)
    for place in {folder, folder if database is None else database.parent}:
        if is_open_to_others(place) and _names_in(place) <= OURS | {file.name for file in files}:
            close_to_others(place)


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _close_all(folder: Path) -> None:
    """A folder and all in it; once it is closed nobody gets at what it holds, so that is not looked at again."""
    if is_open_to_others(folder):
        for path in folder.rglob("*"):
            close_to_others(path)
        close_to_others(folder)
