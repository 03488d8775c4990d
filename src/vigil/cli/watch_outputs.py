"""The outputs of `vigil watch`: the live table, JSON lines, subtitles, an annotated video and metrics.

The video of a file is written after it was watched, that of a camera during the watch.
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
from vigil.sources.live_masks import LiveMasks
from vigil.verdict import JudgedWindow
from vigil.watch import Watcher, WatchObserver, WatchSettings
from vigil.watch.file_outputs import JsonLinesWriter, SubtitleFile, written_in
from vigil.watch.prometheus import PrometheusMetrics


class FileVideoObserver(WatchObserver):
    """Collects the results for a file, and writes its annotated video, at full frame rate, at the end."""

    def __init__(self, address: Address, out: Path, tiers: TierThresholds) -> None:
        self._address = address
        self._out = out
        self._tiers = tiers
        self._judged: list[JudgedWindow] = []
        self._events: dict[str, Event] = {}
        self._masks = LiveMasks(address.masks or ())

    def follow(self, watch: Watcher) -> None:
        """Takes on the masks that the watcher has for the file."""
        self._masks = watch.masks_of(next(iter(watch.addresses)))

    def on_result(self, judged: JudgedWindow) -> None:
        self._judged.append(judged)

    def on_change(self, change: EventChange) -> None:
        if not change.late:
            self._events[change.event.id] = change.event

    def finish(self) -> None:
        """Writes the annotated video, with a progress bar; Ctrl-C ends it early but leaves a valid file."""
        with Progress(console=stderr_console()) as bar:
            task = bar.add_task(f"drawing {self._out.name}", total=None)
            annotate_video(
                Path(self._address.location),
                self._judged,
                self._events.values(),
                self._out,
                tiers=self._tiers,
                title=self._address.name,
                retouch=self._masks.retouch(),
                progress=lambda second, length: bar.update(task, completed=second, total=length),
            )


class CameraVideoObserver(WatchObserver):
    """Writes the annotated video of a camera from its sampled frames, as their verdicts arrive."""

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
        """Writes the remaining frames and closes the video; raises SourceError if it could not be written."""
        self._film.close()
        if self._film.problem:
            raise SourceError(self._film.problem)


def video_observer(address: Address, out: Path, tiers: TierThresholds) -> FileVideoObserver | CameraVideoObserver:
    """Returns the observer that writes the annotated video of a source."""
    return CameraVideoObserver(address, out, tiers) if address.is_live else FileVideoObserver(address, out, tiers)


class WatchOutputs:
    """The observers requested on the command line; files are closed with `stack`."""

    def __init__(
        self, settings: WatchSettings, stack: ExitStack, *, jsonl: str | None, srt: Path | None, video: Path | None
    ) -> None:
        tiers = settings.tiers
        self._table = WatchTable()
        self._metrics = PrometheusMetrics() if settings.metrics_port is not None else None
        self._film = (
            None if video is None else video_observer(_one_source(settings, "--video"), _writable(video), tiers)
        )
        self._film_problem = ""
        self._lines = None if jsonl is None else _json_lines(jsonl, stack, tiers)
        self._subtitles = None if srt is None else SubtitleFile(_for_one_source(srt, settings))
        outputs = (self._table, self._metrics, self._film, self._lines, self._subtitles)
        self.observers: list[WatchObserver] = [observer for observer in outputs if observer is not None]
        if self._metrics is not None and settings.metrics_port is not None:
            self._metrics.serve(settings.metrics_port)
        stack.enter_context(self._table)

    def follow(self, watch: Watcher) -> None:
        """Connects the table and the metrics to a watcher."""
        self._table.follow(watch)
        if isinstance(self._film, FileVideoObserver):
            self._film.follow(watch)
        if self._metrics is not None:
            self._metrics.follow(watch)

    def finish(self) -> None:
        """Writes the outputs that are only possible at the end; failures are listed in `missing`."""
        try:
            if self._film is not None:
                self._film.finish()
        except VigilError as error:
            self._film_problem = str(error)

    @property
    def missing(self) -> list[str]:
        """The requested outputs that could not be written."""
        lines = 0 if self._lines is None else self._lines.lost
        cues = 0 if self._subtitles is None else self._subtitles.lost
        problems = (f"{lines} JSON lines" if lines else "", f"{cues} subtitles" if cues else "", self._film_problem)
        return [each for each in problems if each]


def _for_one_source(path: Path, settings: WatchSettings) -> Path:
    _one_source(settings, "--srt")
    return path


def _one_source(settings: WatchSettings, option: str) -> Address:
    addresses = find_sources(settings.sources)
    if len(addresses) > 1:
        raise UsageError(f"{option} is about one source and there are {len(addresses)}; watch them one by one for it")
    return addresses[0]


def _writable(path: Path) -> Path:
    """Raises UsageError if a file cannot be written, at the start and not after hours of watching."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"{path} cannot be written by this user; name another file")
    return path


def _json_lines(name: str, stack: ExitStack, tiers: TierThresholds) -> JsonLinesWriter:
    """Returns a writer to a file or, for `-`, standard output.

    Late events that an earlier watch already wrote to the file are not written again.
    """
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
    """Returns unbuffered standard output; a buffer would hold back lines and fail only when it is flushed at exit."""
    sys.stdout.flush()
    raw: BinaryIO = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    return raw
