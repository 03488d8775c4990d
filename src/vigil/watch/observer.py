"""Whoever follows a watch: the table, the JSON lines, subtitles, metrics, a web page."""

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.frames import Frame
from vigil.watch.state import SourceState


class Observer:
    """Follows a watch; all but `seen`, `looks_at` and `preview` are called in the loop.

    Any may be left out, all return soon.
    """

    @property
    def is_behind(self) -> bool:
        """Whether it could not write down yet what it was told of events, and would lose that if it were killed now."""
        return False

    def seen(self, source: str, frame: Frame) -> None:
        """A frame was sampled; called in the source's own thread, which it may hold up a little."""

    def looks_at(self, source: str) -> bool:
        """Whether it wants to be shown pictures of a source now; asked for each picture, in the source's threads."""
        return False

    def preview(self, source: str, jpeg: bytes, time_s: float) -> None:
        """A picture for people, as `looks_at` asked for; called in the source's thread, which it must not hold up.

        Which pictures there are is a matter of the settings `preview_fps` and `preview_px`.
        """

    def state(self, state: SourceState) -> None:
        """A source was connected, lost, ended or could not be read."""

    def judged(self, judged: Judged) -> None:
        """A window's verdict is there, in the order of the source; its words may still be on their way."""

    def told(self, judged: Judged) -> None:
        """A window is done with: its words, if any, are there. In the order of the source."""

    def changed(self, change: Change) -> None:
        """An event opened, rose, grew or closed, and is in the store.

        It may be `late`: an event of an earlier watch, whose seconds are that watch's.
        """

    def close(self) -> None:
        """The watch is over."""
