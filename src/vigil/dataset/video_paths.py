"""Finds the video that an imported row names: by a relative path, an absolute one, or a path of another machine."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from vigil.dataset.sharegpt import UnusableRow, shown
from vigil.file_names import in_gb18030
from vigil.sources.address import EXTENSIONS

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif"})


@dataclass(frozen=True, slots=True)
class VideoPaths:
    """Looks for videos below the folders in `roots`, in order.

    With `foreign`, an absolute path that does not exist is searched for by its last parts: `D:\\clips\\fight\\a.mp4` is
    found as `fight/a.mp4`.
    """

    roots: tuple[Path, ...]
    foreign: bool = False

    def find(self, written: str) -> Path:
        """The file that a row names. Links are not followed: their folder may give the label.

        Raises UnusableRow if there is no such video file.
        """
        if "://" in written:
            raise UnusableRow(f"{shown(written)} is an address, not a file")
        ending = PureWindowsPath(written).suffix.lower()
        if ending in PICTURES:
            raise UnusableRow(f"{shown(written)} is an image, not a video")
        if ending not in EXTENSIONS:
            raise UnusableRow(f"{shown(written)} does not have the extension of a video")
        found = next((path for path in self._candidates(written) if _is_file(path)), None)
        if found is None:
            raise UnusableRow(self._missing(written))
        whole = _whole(found)
        return whole if _is_file(whole) else found.resolve()

    def _candidates(self, written: str) -> list[Path]:
        plain = _with_slashes(written)
        if _is_absolute(written):
            return [Path(written), *(self._by_its_end(plain) if self.foreign else [])]
        spellings = dict.fromkeys(each for each in (written, plain, in_gb18030(plain)) if each is not None)
        return [root / spelling for root in self.roots for spelling in spellings]

    def _by_its_end(self, plain: str) -> list[Path]:
        parts = [part for part in PurePosixPath(plain).parts if part not in {"/", ".."} and not part.endswith(":")]
        return [root.joinpath(*parts[start:]) for start in range(len(parts)) for root in self.roots]

    def _missing(self, written: str) -> str:
        if _is_absolute(written) and not self.foreign:
            return f"{shown(written)} does not exist; --media-dir DIR searches another folder for its last parts"
        below = " or ".join(str(root) for root in self.roots)
        return f"{shown(written)} does not exist (searched below {below}; --media-dir is the folder of relative names)"

    def name_of(self, path: Path) -> str:
        """The clip's name: its path below the first root that contains it, otherwise its absolute path."""
        whole = [_whole(root) for root in self.roots]
        root = next((root for root in whole if path.is_relative_to(root)), Path(path.anchor))
        return path.relative_to(root).as_posix()


def _is_absolute(written: str) -> bool:
    return PurePosixPath(written).is_absolute() or bool(PureWindowsPath(written).anchor)


def _with_slashes(written: str) -> str:
    return written.replace("\\", "/")


def _whole(path: Path) -> Path:
    """The absolute path without `..`, links not resolved."""
    return Path(os.path.normpath(path.absolute()))


def _is_file(path: Path) -> bool:
    """Whether the file exists; False also for invalid names and folders without permission."""
    with suppress(OSError, ValueError):
        return path.is_file()
    return False
