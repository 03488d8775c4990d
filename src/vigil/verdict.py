"""What the judge says of a window: alarm, normal, or unknown with a cause - never an error as an answer.

A verdict with its place: which source, which window, when.
"""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """The three things that a verdict can be."""

    ALARM = "alarm"
    NORMAL = "normal"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a verdict is unknown; each is counted and shown by its name."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    SERVER_ERROR = "server_error"
    CUT_OFF = "cut_off"
    UNPARSEABLE = "unparseable"
    OUTSIDE = "outside"
    CONTRADICTORY = "contradictory"
    EXCHANGED = "exchanged"
    UNREADABLE = "unreadable"
    DROPPED = "dropped"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    WORDS_ONLY = "words_only"
    FAULT = "fault"


CAUSE_MEANINGS = {
    Cause.TIMEOUT: "the deadline passed before the verdict came",
    Cause.UNREACHABLE: "no connection to the endpoint",
    Cause.UNAUTHORIZED: "the endpoint refused the key",
    Cause.RATE_LIMITED: "the endpoint asked to slow down",
    Cause.REJECTED: "the endpoint called the request wrong",
    Cause.SERVER_ERROR: "the endpoint failed inside",
    Cause.CUT_OFF: "the answer broke off",
    Cause.UNPARSEABLE: "the answer begins with neither verdict word",
    Cause.OUTSIDE: "too much of the probability lies on other words than the verdict words",
    Cause.CONTRADICTORY: "the answer spells another verdict word than the one that its probabilities favour",
    Cause.EXCHANGED: "the server came back with another model or contract than it had at the start",
    Cause.UNREADABLE: "the source gave no picture",
    Cause.DROPPED: "live: a newer window took its place",
    Cause.SKIPPED: "the motion gate found the window still",
    Cause.CANCELLED: "stopped before it was judged",
    Cause.WORDS_ONLY: "the question asks for words, not for a verdict",
    Cause.FAULT: "Vigil itself failed at it; the log says why",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One window's verdict.

    `p_alarm` is the calibrated P(alarm word) / (P(alarm word) + P(normal word)) and `p_outside` the
    probability that the model gave to anything else: a health signal. Both are None when unknown. `tokens` is what
    the server says that it read and wrote for it.
    """

    outcome: Outcome
    cause: Cause | None = None
    p_alarm: float | None = None
    p_raw: float | None = None
    p_outside: float | None = None
    text: str | None = None
    start_s: float = 0.0
    end_s: float = 0.0
    latency_ms: float = 0.0
    tokens: int = 0
    detail: str = ""

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.UNKNOWN) != (self.cause is not None):
            raise ValueError("a verdict has a cause exactly when it is unknown")

    @classmethod
    def unknown(cls, cause: Cause, *, start_s: float = 0.0, end_s: float = 0.0, detail: str = "") -> "Verdict":
        """A verdict that says why there is none."""
        return cls(outcome=Outcome.UNKNOWN, cause=cause, start_s=start_s, end_s=end_s, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedWindow:
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
