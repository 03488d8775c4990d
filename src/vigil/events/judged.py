"""A verdict with its place: which source, which window, when."""

from dataclasses import dataclass

from vigil.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One window of one source and what was said of it.

    `source` is the camera's shown name, never with a password, `camera_id` its id, empty where none is known; `window`
    is the window's number there; `captured_s` the `time.time()` of its last frame on live sources. A `rest` shows
    mostly what the window before it has shown (`vigil.windows.Window`).
    """

    source: str
    window: int
    verdict: Verdict
    captured_s: float | None = None
    rest: bool = False
    camera_id: str = ""

    @property
    def start_s(self) -> float:
        """Time of the window's first frame, in seconds of the source."""
        return self.verdict.start_s

    @property
    def end_s(self) -> float:
        """Time of the window's last frame, in seconds of the source."""
        return self.verdict.end_s
