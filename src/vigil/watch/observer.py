"""Whoever follows a watch: the table, the JSON lines, subtitles, metrics, a web page."""

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.frames import Frame
from vigil.watch.state import SourceState


class Observer:
    """Follows a watch; every method but `seen` is called in the loop, may be left out, and must return soon."""

    def seen(self, source: str, frame: Frame) -> None:
        """A frame was sampled; called in the source's own thread, which it may hold up a little."""

    def state(self, state: SourceState) -> None:
        """A source was connected, lost, ended or could not be read."""

    def judged(self, judged: Judged) -> None:
        """A window's verdict is there, in the order of the source; its words may still be on their way."""

    def told(self, judged: Judged) -> None:
        """A window is done with: its words, if any, are there. In the order of the source."""

    def changed(self, change: Change) -> None:
        """An event opened, rose, grew or closed, and is in the store."""

    def close(self) -> None:
        """The watch is over."""
