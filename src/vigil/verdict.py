"""The answer to a question about a window, the verdict that derives from it, and the judged window both belong to.

A verdict is alarm, normal, or unknown with a cause. An error is never turned into alarm or normal: it makes the answer,
and so the verdict, unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vigil.questions import Question


class Outcome(StrEnum):
    """The outcome of a verdict."""

    ALARM = "alarm"
    NORMAL = "normal"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a verdict is unknown; each cause is counted and displayed under its name."""

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
    NOT_ASKED = "not_asked"
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
    Cause.SKIPPED: "the gate before the model found no motion, or nobody",
    Cause.CANCELLED: "stopped before it was judged",
    Cause.WORDS_ONLY: "the question asks for words, not for a verdict",
    Cause.NOT_ASKED: "a follow-up question: the answer to the question before it did not call for it",
    Cause.FAULT: "Vigil itself failed at it; the log says why",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on one window.

    `p_alarm` is the calibrated P(alarm word) / (P(alarm word) + P(normal word)). `p_outside` is the probability that
    the model gave to anything else, an indicator of its health. Both are None if the outcome is unknown. `tokens`
    counts the tokens that the server reports as read and written. Raises ValueError unless an unknown outcome, and no
    other, has a cause.

    Of a question with other labels than `alarm` and `normal`, `p_alarm` is that of all alarm labels together,
    `probabilities` holds each label's (calibrated; 1 for the stated one if the server reports none) and
    `raw_probabilities` what the model gave; `alarm_label` is the most probable of the alarm labels. Otherwise they are
    empty.
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
    probabilities: Mapping[str, float] = field(default_factory=dict)
    raw_probabilities: Mapping[str, float] = field(default_factory=dict)
    alarm_label: str = ""

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.UNKNOWN) != (self.cause is not None):
            raise ValueError("a verdict has a cause exactly when it is unknown")

    @classmethod
    def unknown(cls, cause: Cause, *, start_s: float = 0.0, end_s: float = 0.0, detail: str = "") -> "Verdict":
        """An unknown verdict with its cause."""
        return cls(outcome=Outcome.UNKNOWN, cause=cause, start_s=start_s, end_s=end_s, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's answer to one question about one window.

    `probabilities` are those of the labels, calibrated, and sum to 1; `raw_probabilities` are as the model gave them.
    Both are empty if the server reports none; the answer is then `stated_label`, the label whose word it begins with.
    `outside` is the probability of everything except the labels, an indicator of the model's health. An answer with a
    `cause` is unknown. `tokens` counts the tokens that the server reports as read and written.
    """

    question: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    raw_probabilities: Mapping[str, float] = field(default_factory=dict)
    outside: float | None = None
    stated_label: str | None = None
    text: str | None = None
    cause: Cause | None = None
    detail: str = ""
    start_s: float = 0.0
    end_s: float = 0.0
    latency_ms: float = 0.0
    tokens: int = 0

    @classmethod
    def unknown(cls, cause: Cause, *, detail: str = "", tokens: int = 0) -> "Answer":
        """An unknown answer with its cause."""
        return cls(cause=cause, detail=detail, tokens=tokens)

    @property
    def label(self) -> str | None:
        """The name of the most probable label, or else the stated one; None if the answer is unknown."""
        if self.cause is not None:
            return None
        if not self.probabilities:
            return self.stated_label
        return max(self.probabilities, key=self.probabilities.__getitem__)

    def verdict(self, question: Question, *, alarm_from: float) -> Verdict:
        """The verdict of an answer: an alarm if the probability of all alarm labels is at least `alarm_from`.

        Without probabilities the stated label decides, and the verdict has no probability.
        """
        p_alarm: float | None = None
        p_raw: float | None = None
        if self.cause is not None:
            outcome = Outcome.UNKNOWN
        elif self.probabilities:
            p_alarm = sum(self.probabilities[name] for name in question.alarm_labels)
            p_raw = sum(self.raw_probabilities[name] for name in question.alarm_labels)
            outcome = Outcome.ALARM if p_alarm >= alarm_from else Outcome.NORMAL
        else:
            outcome = Outcome.ALARM if self.stated_label in question.alarm_labels else Outcome.NORMAL
        return Verdict(
            outcome=outcome,
            cause=self.cause,
            p_alarm=p_alarm,
            p_raw=p_raw,
            p_outside=None if p_alarm is None else self.outside,
            text=self.text,
            start_s=self.start_s,
            end_s=self.end_s,
            latency_ms=self.latency_ms,
            tokens=self.tokens,
            detail=self.detail,
            **self._of_classes(question),
        )

    def _of_classes(self, question: Question) -> dict[str, Any]:
        """What a verdict says about the labels of a question that has others than `alarm` and `normal`."""
        if question.has_two_labels or self.label is None:
            return {}
        probabilities = self.probabilities or {self.label: 1.0}
        alarms = [name for name in question.alarm_labels if name in probabilities]
        return {
            "probabilities": probabilities,
            "raw_probabilities": self.raw_probabilities or probabilities,
            "alarm_label": max(alarms, key=probabilities.__getitem__, default=""),
        }


@dataclass(frozen=True, slots=True)
class WindowAnswers:
    """The verdict on one window, and the answers to all questions about it, by the questions' names."""

    verdict: Verdict
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @classmethod
    def unknown(cls, cause: Cause, answers: Mapping[str, Answer] | None = None) -> "WindowAnswers":
        """The answers about a window without a verdict: at most those about the camera itself."""
        return cls(Verdict.unknown(cause), answers or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedWindow:
    """One window of one source with its verdict.

    `source` is the camera's display name, never with a password; `camera_id` is its id, empty if unknown. `window` is
    the window's number in the source. `captured_s` is the `time.time()` of its last frame, for live sources. A `rest`
    window mostly repeats frames of the window before it (`vigil.windows.Window`). `answers` holds the answers to all
    questions that were asked about it, by their names; it is empty for windows that are read from a store.
    """

    source: str
    window: int
    verdict: Verdict
    captured_s: float | None = None
    rest: bool = False
    camera_id: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict)

    @property
    def start_s(self) -> float:
        """Time of the window's first frame, in seconds of the source."""
        return self.verdict.start_s

    @property
    def end_s(self) -> float:
        """Time of the window's last frame, in seconds of the source."""
        return self.verdict.end_s
