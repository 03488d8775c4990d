"""The video that a watch leaves behind: of a file after it was watched, of a camera while it is."""

from pathlib import Path

from rich.progress import Progress

from vigil.cli.console import stderr_console
from vigil.errors import SourceError
from vigil.events.change import EventChange
from vigil.events.event import Event
from vigil.events.judged import JudgedWindow
from vigil.events.tiers import TierThresholds
from vigil.frames import Frame
from vigil.report.film import LiveAnnotatedVideo, annotate_video
from vigil.sources.address import Address
from vigil.watch import WatchObserver


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
