"""What visitors send: a folder of its own for each start, below it one for each visitor; all of it goes again.

A file is what it holds, not what it is called, and the name it came with is only ever shown, never used as a path.
"""

import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Uploads:
    """The folder of one start of the pages; `keep_s` is how long a file stays after it was last written."""

    folder: Path
    keep_s: float

    @classmethod
    def make(cls, parent: Path, *, keep_s: float) -> "Uploads":
        """A new folder below `parent` that nobody can guess and nobody else can read."""
        folder = parent.resolve() / f"start-{secrets.token_hex(8)}"
        folder.mkdir(mode=PRIVATE, parents=True)
        return cls(folder, keep_s)

    def visitor_folder(self) -> Path:
        """A new folder for one visitor; keep it in a `gr.State`."""
        folder = self.folder / secrets.token_urlsafe(18)
        folder.mkdir(mode=PRIVATE, exist_ok=True)
        return folder

    def sweep(self) -> int:
        """Removes the files that are older than `keep_s`, and folders that they leave empty; returns how many files."""
        oldest_s = time.time() - self.keep_s
        old = [path for path in self.folder.rglob("*") if path.is_file() and path.stat().st_mtime < oldest_s]
        for path in old:
            path.unlink(missing_ok=True)
        for folder in sorted(self.folder.rglob("*"), reverse=True):
            if folder.is_dir() and folder.stat().st_mtime < oldest_s and not any(folder.iterdir()):
                folder.rmdir()
        return len(old)

    def remove(self) -> None:
        """Removes everything, at the end."""
        shutil.rmtree(self.folder, ignore_errors=True)
