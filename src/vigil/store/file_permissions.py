"""File permissions of a store: it contains pictures of people, so older files that others can read are closed.

New databases, folders and media are created for their owner only. Permissions given to a group are kept.
"""

from pathlib import Path

from vigil.files import PARTIAL, close_to_others, is_open_to_others
from vigil.store.media_store import COPIES, KINDS
from vigil.store.rejected_rows import REFUSED
from vigil.store.sessions import FOLDER

BESIDE = ("", "-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite keeps beside a database."""

OURS = frozenset({*KINDS, COPIES, FOLDER, REFUSED, "room.yaml", f"room.yaml{PARTIAL}"})


def restrict_store_files(folder: Path, database: Path | None) -> None:
    """Makes a store's database, media and folder inaccessible to others, as far as this user owns them.

    The folder itself is changed only if it contains nothing but the store, as it may be a shared one.
    """
    files = [] if database is None else [database.with_name(f"{database.name}{end}") for end in BESIDE]
    for file in files:
        close_to_others(file)
    for kind in (*KINDS, COPIES, FOLDER):
        _close_all(folder / kind)
    for place in {folder, folder if database is None else database.parent}:
        if is_open_to_others(place) and _names_in(place) <= OURS | {file.name for file in files}:
            close_to_others(place)


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _close_all(folder: Path) -> None:
    """Closes a folder and everything in it; once the folder is closed, its content need not be checked again."""
    if is_open_to_others(folder):
        for path in folder.rglob("*"):
            close_to_others(path)
        close_to_others(folder)
