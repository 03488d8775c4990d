"""Clips that browsers can play: the original if possible, else a transcoded copy, made when it is first viewed.

Clips are evidence and keep the camera's own encoding (`vigil.sources.ring_buffer`), so most browsers cannot play those
of an H.265 camera. Copies are stored with the uploads and swept like them; a later view makes them again.
"""

import contextlib
import logging
import os
import threading
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from vigil.analysis.outputs import write_browser_copy
from vigil.errors import SourceError, VigilError
from vigil.sources.container import open_container, pick_stream

from .context import SiteContext
from .uploads import PLAYED

log = logging.getLogger(__name__)

WAITING = 4
"""Copies that wait while one is being made; when full, the oldest is dropped, and the next view queues it again."""

ENDS_WITHIN_S = 5.0
CONTAINER = "mp4"
NAMES = {"hevc": "H.265"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayableClip:
    """A clip for the page: `path` is playable, `codec` is the original's, `why` explains why there is no copy."""

    kind: Literal["original", "copy", "coming", "failed"]
    path: Path | None = None
    codec: str = ""
    why: str = ""


class BrowserCopies:
    """All copies of this server, made one at a time, newest request first; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: deque[Path] = deque(maxlen=WAITING)
        self._making: Path | None = None
        self._failed: dict[Path, str] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def look(self, clip: Path) -> PlayableClip:
        """What can be played now; queues a copy if one is needed. A clip that cannot be read is returned as it is."""
        try:
            status = clip.stat()
            codec = _codec(clip, status.st_mtime_ns)
        except (SourceError, OSError):
            return PlayableClip(kind="original", path=clip)
        if PLAYED.get(codec) == CONTAINER:
            return PlayableClip(kind="original", path=clip, codec=codec)
        return self._find(clip, self._place(clip, status), name=NAMES.get(codec, codec))

    def _find(self, clip: Path, copy: Path, *, name: str) -> PlayableClip:
        with contextlib.suppress(OSError):
            os.utime(copy)  # protects it from the sweep
            return PlayableClip(kind="copy", path=copy, codec=name)
        if copy in self._failed:
            return PlayableClip(kind="failed", codec=name, why=self._failed[copy])
        self._ask(clip)
        return PlayableClip(kind="coming", codec=name)

    def stop(self) -> None:
        """Stops the current conversion and refuses new ones."""
        self._stop.set()
        thread = self._thread
        if thread is not None:
            thread.join(ENDS_WITHIN_S)

    def _place(self, clip: Path, status: os.stat_result) -> Path:
        """The path of a copy: unique per clip, and revealing nothing about it."""
        identity = f"{clip}/{status.st_mtime_ns}/{status.st_size}"
        return self._folder / f"{sha256(identity.encode()).hexdigest()[:32]}.mp4"

    def _ask(self, clip: Path) -> None:
        with self._lock:
            if clip == self._making or self._stop.is_set():
                return
            if clip in self._waiting:
                self._waiting.remove(clip)
            self._waiting.append(clip)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="clips for browsers", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while (clip := self._next()) is not None:
            try:
                self._make(clip)
            except (VigilError, OSError) as error:
                log.warning("no copy of %s for browsers: %s", clip.name, error)

    def _next(self) -> Path | None:
        with self._lock:
            has_more = bool(self._waiting) and not self._stop.is_set()
            self._making = self._waiting.pop() if has_more else None
            self._thread = self._thread if has_more else None
            return self._making

    def _make(self, clip: Path) -> None:
        copy = self._place(clip, clip.stat())
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            has_pictures = write_browser_copy(clip, copy, stop=self._stop)
        except SourceError as error:
            self._failed[copy] = str(error).replace(str(clip), clip.name).replace(str(copy), clip.name)
            raise
        if self._stop.is_set():
            copy.unlink(missing_ok=True)
        elif not has_pictures:
            self._failed[copy] = f"there is no picture in {clip.name}"


def browser_copies(context: SiteContext) -> BrowserCopies:
    """The copies of this server, shared by all languages."""
    return _copies(context.uploads.folder / "clips")


@lru_cache(maxsize=8)
def _copies(folder: Path) -> BrowserCopies:
    return BrowserCopies(folder)


@lru_cache(maxsize=512)
def _codec(clip: Path, modified_ns: int) -> str:
    """The codec of a clip; the modification time is part of the cache key."""
    with open_container(clip) as container:
        return str(pick_stream(container, clip).codec_context.codec.canonical_name)
