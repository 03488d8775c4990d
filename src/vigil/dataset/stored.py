"""A clip's frames on disk: `frames/<label>/<clip>/<window>-<i>.jpg` and, written last, `clip.json`.

The folder is filled beside its place and renamed when it is whole, so a folder that has its `clip.json` is
complete. Windows that overlap share their files: each distinct picture is stored once.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vigil.config import from_mapping
from vigil.dataset.disk import PARTIAL
from vigil.dataset.fingerprints import Fingerprint, fingerprint
from vigil.dataset.short import WindowKind
from vigil.errors import ConfigError
from vigil.file_names import beside
from vigil.frames import decode_jpeg
from vigil.windows import Window

MARKER_NAME = "clip.json"
HDR, INTERLACED = "HDR", "interlaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWindow:
    """A window on disk: its files (names inside the clip's folder) and its place in the video."""

    window: int
    files: tuple[str, ...]
    start_s: float
    end_s: float
    kind: WindowKind = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClip:
    """What `clip.json` says; `digest` names video and recipe, `problems` what was wrong with the video.

    `notes` is what should be known of a sound one, `format` its own size and rate, as in `1280x720@29.97`, `traits`
    what was put right in every picture: `HDR`, `interlaced`.
    """

    digest: str
    video_digest: str
    frames_digest: str
    fingerprint: Fingerprint
    windows: tuple[StoredWindow, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: str = ""
    traits: tuple[str, ...] = ()


def read_stored(folder: Path) -> StoredClip | None:
    """What a folder of frames says of itself; None when there is nothing or it is damaged."""
    try:
        data = json.loads((folder / MARKER_NAME).read_text(encoding="utf-8"))
        return from_mapping(StoredClip, data, where=str(folder))
    except (OSError, ValueError, ConfigError, AttributeError):
        return None


def is_complete(folder: Path, stored: StoredClip) -> bool:
    """Whether every picture is there, byte for byte."""
    digest = hashlib.sha256()
    try:
        for file in _distinct(stored.windows):
            digest.update((folder / file).read_bytes())
    except OSError:
        return False
    return digest.hexdigest() == stored.frames_digest


def _distinct(windows: Sequence[StoredWindow]) -> list[str]:
    return list(dict.fromkeys(file for window in windows for file in window.files))


class FrameWriter:
    """Fills a clip's folder window by window; leaves either the whole folder or what was there before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._partial = beside(folder, PARTIAL)
        self._names: dict[bytes, str] = {}
        self._digest = hashlib.sha256()
        self._windows: list[StoredWindow] = []

    def __enter__(self) -> Self:
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)

    def put(self, window: Window, kind: WindowKind) -> None:
        """Stores a window; pictures that an earlier one shows are not written again."""
        files = tuple(self._file(jpeg, place) for place, jpeg in enumerate(window.jpegs))
        self._windows.append(
            StoredWindow(window=window.index, files=files, start_s=window.start_s, end_s=window.end_s, kind=kind)
        )

    def _file(self, jpeg: bytes, place: int) -> str:
        key = hashlib.sha256(jpeg).digest()
        if key not in self._names:
            self._names[key] = f"{len(self._windows):03d}-{place}.jpg"
            (self._partial / self._names[key]).write_bytes(jpeg)
            self._digest.update(jpeg)
        return self._names[key]

    def finish(
        self,
        *,
        digest: str,
        video_digest: str,
        problems: Sequence[str],
        notes: Sequence[str],
        format_: str,
        traits: Sequence[str],
    ) -> StoredClip:
        """Writes `clip.json` and puts the folder in its place."""
        stored = StoredClip(
            digest=digest,
            video_digest=video_digest,
            frames_digest=self._digest.hexdigest(),
            fingerprint=self._fingerprint(),
            windows=tuple(self._windows),
            problems=tuple(problems),
            notes=tuple(notes),
            format=format_,
            traits=tuple(traits),
        )
        marker = json.dumps(asdict(stored), ensure_ascii=False)
        (self._partial / MARKER_NAME).write_text(marker, encoding="utf-8", errors="backslashreplace")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._partial.rename(self.folder)
        return stored

    def _fingerprint(self) -> Fingerprint:
        shown = _distinct([window for window in self._windows if window.kind == "window"])
        places = sorted({0, len(shown) // 2, len(shown) - 1})
        return fingerprint([decode_jpeg((self._partial / shown[place]).read_bytes()) for place in places])
