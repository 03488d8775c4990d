"""Everything that `vigil watch` writes while it watches: the table, JSON lines, subtitles, a video, metrics."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from vigil.cli.watch_table import WatchTable
from vigil.cli.watch_video import video_of
from vigil.errors import UsageError, VigilError
from vigil.events.rules import Tiers
from vigil.sources.address import Address, find_sources
from vigil.watch import Observer, Watch, WatchSettings
from vigil.watch.jsonl import JsonLines, written_in
from vigil.watch.metrics import Metrics
from vigil.watch.subtitles import Subtitles


class Outputs:
    """The observers that the command line asks for; files are closed with `stack`."""

    def __init__(
        self, settings: WatchSettings, stack: ExitStack, *, jsonl: str | None, srt: Path | None, video: Path | None
    ) -> None:
        tiers = settings.events.tiers
        self._table = WatchTable()
        self._metrics = Metrics() if settings.metrics_port is not None else None
        self._film = None if video is None else video_of(_one_source(settings, "--video"), _writable(video), tiers)
        self._film_problem = ""
        self._lines = None if jsonl is None else _json_lines(jsonl, stack, tiers)
        self._subtitles = None if srt is None else Subtitles(_for_one_source(srt, settings))
        asked = (self._table, self._metrics, self._film, self._lines, self._subtitles)
        self.observers: list[Observer] = [observer for observer in asked if observer is not None]
        if self._metrics is not None and settings.metrics_port is not None:
            self._metrics.serve(settings.metrics_port)
        stack.enter_context(self._table)

    def follow(self, watch: Watch) -> None:
        """Shows this watch."""
        self._table.follow(watch)
        if self._metrics is not None:
            self._metrics.follow(watch)

    def finish(self) -> None:
        """Writes what can only be written at the end; `missing` tells of what could not be."""
        try:
            if self._film is not None:
                self._film.finish()
        except VigilError as error:
            self._film_problem = str(error)

    @property
    def missing(self) -> list[str]:
        """What was asked for and could not be kept."""
        lines = 0 if self._lines is None else self._lines.lost
        cues = 0 if self._subtitles is None else self._subtitles.lost
        told = (f"{lines} JSON lines" if lines else "", f"{cues} subtitles" if cues else "", self._film_problem)
        return [each for each in told if each]


def _for_one_source(path: Path, settings: WatchSettings) -> Path:
    _one_source(settings, "--srt")
    return path


def _one_source(settings: WatchSettings, option: str) -> Address:
    addresses = find_sources(settings.sources)
    if len(addresses) > 1:
        raise UsageError(f"{option} is about one source and there are {len(addresses)}; watch them one by one for it")
    return addresses[0]


def _writable(path: Path) -> Path:
    """Says now, and not after hours of watching, that a file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written by this user; name another file")
    return path


def _json_lines(name: str, stack: ExitStack, tiers: Tiers) -> JsonLines:
    """The lines into a file or to standard output; a file tells what a watch before this one wrote."""
    before = set() if name == "-" else written_in(Path(name))
    return JsonLines(_opened(name, stack), tiers, written_before=before)


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == "-":
        return _raw_stdout()
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return stack.enter_context(path.open("wb", buffering=0))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from error


def _raw_stdout() -> BinaryIO:
    """Standard output without its buffer, which would keep lines that nobody takes, and fail at the very end."""
    sys.stdout.flush()
    raw: BinaryIO = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    return raw
