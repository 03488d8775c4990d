"""Claims: which cameras of a store are being watched now, and by whom.

A watch that begins closes what an earlier one left open. A lock on a file tells a watch that was killed, whose lock is
gone with it, from one that goes on.
"""

import fcntl
import hashlib
import logging
import os
from pathlib import Path

from vigil.files import make_private_folder

log = logging.getLogger(__name__)

FOLDER = ".watched"


class Claims:
    """The cameras that this store's user watches; locks lie in a folder beside the media."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER
        self._held: dict[str, int] = {}

    def take(self, source: str) -> bool:
        """Claims a camera, by its id, until `release`; False while somebody else watches it.

        Where no lock can be had (a file system without, no room, no right) every claim is granted.
        """
        if source in self._held:
            return True
        try:
            self._held[source] = self._locked(source)
        except BlockingIOError:
            return False
        except OSError as error:
            log.info("%s: whether another watch has it cannot be known: %s", source, error)
        return True

    def _locked(self, source: str) -> int:
        make_private_folder(self._folder)
        name = hashlib.sha256(source.encode(errors="surrogateescape")).hexdigest()[:24]
        lock = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise
        return lock

    def release_all(self) -> None:
        """Gives all of them up."""
        for source in list(self._held):
            self.release(source)

    def release(self, source: str) -> None:
        """Gives a source up."""
        if (lock := self._held.pop(source, None)) is not None:
            os.close(lock)
