"""The scripts and styles of the console, read once and served below an address that changes with them.

Modules import each other by relative paths, so all of them belong to one digest: a browser never mixes two versions.
"""

import mimetypes
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "static"
DIGEST_CHARACTERS = 12
IMPORT = re.compile(rb'^import (?:[^;]*? from )?"\./([\w.]+)";', re.MULTILINE)
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class ConsoleAssets:
    """All files by name, and the digest of all of them together."""

    files: dict[str, Asset]
    digest: str

    @classmethod
    def read(cls, folder: Path = FOLDER) -> "ConsoleAssets":
        """Reads every file of a folder."""
        bodies = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        told = sha256()
        for name, body in bodies.items():
            told.update(name.encode() + b"\0" + body + b"\0")
        files = {name: Asset(body, _media_type(name)) for name, body in bodies.items()}
        return cls(files, told.hexdigest()[:DIGEST_CHARACTERS])

    def path(self, name: str) -> str:
        """The path of a file within the site; raises KeyError if there is none of this name."""
        if name not in self.files:
            raise KeyError(name)
        return f"/console/static/{self.digest}/{name}"

    def modules_of(self, name: str) -> set[str]:
        """The modules that a script imports, and those that these import."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            imported = {each.decode() for each in IMPORT.findall(self.files[waiting.pop()].body)} - found
            found |= imported
            waiting += imported
        return found


def _media_type(name: str) -> str:
    return TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
