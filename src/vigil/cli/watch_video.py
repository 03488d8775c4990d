"""The video that a watch leaves behind: of a file after it was watched, of a camera while it is."""

from pathlib import Path

from rich.progress import Progress

from vigil.cli.console import stderr_console
from vigil.errors import SourceError
from vigil.events.change import Change
from vigil.events.event import Event
from vigil.events.judged import Judged
from vigil.events.rules import Tiers
from vigil.frames import Frame
from vigil.report.film import LiveFilm, annotate_file
from vigil.sources.address import Address
from vigil.watch import Observer


class FileVideo(Observer):
    """Notes what is said of a file, and makes the film of it at its full rate at the end."""

    def __init__(self, address: Address, out: Path, tiers: Tiers) -> None:
        self._address = address
        self._out = out
        self._tiers = tiers
        self._judged: list[Judged] = []
        self._events: dict[str, Event] = {}

    def on_result(self, judged: Judged) -> None:
        self._judged.append(judged)

    def on_change(self, change: Change) -> None:
        if not change.late:
            self._events[change.event.id] = change.event

    def finish(self) -> None:
        """Writes the film, with a progress bar; Ctrl-C ends it early, and whole."""
        with Progress(console=stderr_console()) as bar:
            task = bar.add_task(f"drawing {self._out.name}", total=None)
            annotate_file(
                Path(self._address.location),
                self._judged,
                self._events.values(),
                self._out,
                tiers=self._tiers,
                title=self._address.name,
                progress=lambda second, length: bar.update(task, completed=second, total=length),
            )


class CameraVideo(Observer):
    """Draws the sampled frames of a camera as their verdicts come."""

    def __init__(self, address: Address, out: Path, tiers: Tiers) -> None:
        self._film = LiveFilm(out, tiers=tiers, title=address.name)

    def on_frame(self, source: str, frame: Frame) -> None:
        self._film.frame(frame.image, frame.time_s)

    def on_result(self, judged: Judged) -> None:
        self._film.judged(judged)

    def on_change(self, change: Change) -> None:
        if not change.late:
            self._film.changed(change.event)

    def finish(self) -> None:
        """Ends the film with the frames that still wait; raises SourceError when it could not be written."""
        self._film.close()
        if self._film.problem:
            raise SourceError(self._film.problem)


def video_of(address: Address, out: Path, tiers: Tiers) -> FileVideo | CameraVideo:
    """The observer that makes the video of a source."""
    return CameraVideo(address, out, tiers) if address.is_live else FileVideo(address, out, tiers)
