"""Everything that `vigil watch` writes while it watches: the table, JSON lines, subtitles, a video, metrics.

The video that a watch leaves behind: of a file after it was watched, of a camera while it is.
"""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from rich.progress import Progress

from vigil.cli.main import stderr_console
from vigil.cli.watch_table import WatchTable
from vigil.errors import SourceError, UsageError, VigilError
from vigil.events import Event, EventChange, TierThresholds
from vigil.frames import Frame
from vigil.report.annotated_video import LiveAnnotatedVideo, annotate_video
from vigil.sources.address import Address, find_sources
from vigil.verdict import JudgedWindow
from vigil.watch import Watcher, WatchObserver, WatchSettings
from vigil.watch.file_outputs import JsonLinesWriter, SubtitleFile, written_in
from vigil.watch.prometheus import PrometheusMetrics


class FileVideoObserver(WatchObserver):
    """Notes what is said of a file, and makes the film of it at its full rate at the end."""

    def __init__(self, address: Address, out: Path, tiers: TierThresholds) -> None:
        self._address = address
        self._out = out
        self._tiers = tiers
        self._judged: list[JudgedWindow] = []
        self._events: dict[str, Event] = {}

    def on_result(self, judged: JudgedWindow) -> None:
        self._judged.append(judged)

    def on_change(self, change: EventChange) -> None:
        if not change.late:
            self._events[change.event.id] = change.event

    def finish(self) -> None:
        """Writes the film, with a progress bar; Ctrl-C ends it early, and whole."""
        with Progress(console=stderr_console()) as bar:
            task = bar.add_task(f"drawing {self._out.name}", total=None)
            annotate_video(
                Path(self._address.location),
                self._judged,
                self._events.values(),
                self._out,
                tiers=self._tiers,
                title=self._address.name,
                progress=lambda second, length: bar.update(task, completed=second, total=length),
            )


class CameraVideoObserver(WatchObserver):
    """Draws the sampled frames of a camera as their verdicts come."""

    def __init__(self, address: Address, out: Path, tiers: TierThresholds) -> None:
        self._film = LiveAnnotatedVideo(out, tiers=tiers, title=address.name)

    def on_frame(self, source: str, frame: Frame) -> None:
        self._film.frame(frame.image, frame.time_s)

    def on_result(self, judged: JudgedWindow) -> None:
        self._film.judged(judged)

    def on_change(self, change: EventChange) -> None:
        if not change.late:
            self._film.changed(change.event)

    def finish(self) -> None:
        """Ends the film with the frames that still wait; raises SourceError when it could not be written."""
        self._film.close()
        if self._film.problem:
            raise SourceError(self._film.problem)


def video_observer(address: Address, out: Path, tiers: TierThresholds) -> FileVideoObserver | CameraVideoObserver:
    """The observer that makes the video of a source."""
    return CameraVideoObserver(address, out, tiers) if address.is_live else FileVideoObserver(address, out, tiers)


class WatchOutputs:
    """The observers that the command line asks for; files are closed with `stack`."""

    def __init__(
        self, settings: WatchSettings, stack: ExitStack, *, jsonl: str | None, srt: Path | None, video: Path | None
    ) -> None:
        tiers = settings.events.tiers
        self._table = WatchTable()
        self._metrics = PrometheusMetrics() if settings.metrics_port is not None else None
        self._film = (
            None if video is None else video_observer(_one_source(settings, "--video"), _writable(video), tiers)
        )
        self._film_problem = ""
        self._lines = None if jsonl is None else _json_lines(jsonl, stack, tiers)
        self._subtitles = None if srt is None else SubtitleFile(_for_one_source(srt, settings))
        asked = (self._table, self._metrics, self._film, self._lines, self._subtitles)
        self.observers: list[WatchObserver] = [observer for observer in asked if observer is not None]
        if self._metrics is not None and settings.metrics_port is not None:
            self._metrics.serve(settings.metrics_port)
        stack.enter_context(self._table)

    def follow(self, watch: Watcher) -> None:
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


def _json_lines(name: str, stack: ExitStack, tiers: TierThresholds) -> JsonLinesWriter:
    """The lines into a file or to standard output; a file tells what a watch before this one wrote."""
    before = set() if name == "-" else written_in(Path(name))
    return JsonLinesWriter(_opened(name, stack), tiers, written_before=before)


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
