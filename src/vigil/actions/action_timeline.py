"""The actions of a film, merged from the answers about its windows.

An action of a window begins at the second that the model wrote and lasts until the same actor does something else, or
to the end of the window. One that the next window shows again goes on: the two are one action.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vigil.actions.action_question import WrittenActions
from vigil.answer_schema import AnswerSchema
from vigil.verdict import Answer, Cause

EPSILON_S = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAction:
    """Who does what from `start_s` to `end_s` (seconds of the film), and what for; empty if that is not known."""

    start_s: float
    end_s: float
    actor: str
    action: str
    intent: str = ""
    windows: int = 1

    @property
    def key(self) -> tuple[str, str]:
        """What makes two actions the same: actor and action, whatever their case and spaces."""
        return (_plain(self.actor), _plain(self.action))

    @property
    def line(self) -> str:
        """One line: who, what, and what for in brackets."""
        who = f"{self.actor}: " if self.actor else ""
        return f"{who}{self.action}{f' ({self.intent})' if self.intent else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRemark:
    """A part of the film about which there is no list of actions: the model's words, or why there is nothing."""

    start_s: float
    end_s: float
    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionTimeline:
    """The actions of a film in order of time, and what is not known of it.

    `words` are answers that are not of the form that was asked for. `unknown` are windows without an answer. `seen_s`
    is how many of the film's `length_s` seconds were looked at.
    """

    film: str
    model: str
    question: str
    key_frames: str
    length_s: float
    seen_s: float
    windows: int
    tokens: int
    actions: tuple[TimedAction, ...] = ()
    words: tuple[FilmRemark, ...] = ()
    unknown: tuple[FilmRemark, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data of all fields, seconds rounded to hundredths."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 2)
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """What a window's answer says: actions in seconds of the film, or a remark."""

    start_s: float
    end_s: float
    actions: tuple[TimedAction, ...] = ()
    words: FilmRemark | None = None
    unknown: FilmRemark | None = None


def read_window(answer: Answer, schema: AnswerSchema[WrittenActions]) -> ReadWindow:
    """Reads the answer about a window. JSON that is not of the form, or cut off, is kept as words."""
    start_s, end_s = answer.start_s, answer.end_s
    if answer.cause is not Cause.WORDS_ONLY or answer.text is None:
        reason = f"{answer.cause}: {answer.detail}" if answer.detail else str(answer.cause)
        return ReadWindow(start_s, end_s, unknown=FilmRemark(start_s=start_s, end_s=end_s, reason=reason))
    reading = schema.read(answer.text)
    if reading.fields is None:
        words = FilmRemark(start_s=start_s, end_s=end_s, reason=reading.problem, words=answer.text)
        return ReadWindow(start_s, end_s, words=words)
    return ReadWindow(start_s, end_s, tuple(_placed(reading.fields, start_s, end_s)))


def _placed(written: WrittenActions, start_s: float, end_s: float) -> Iterable[TimedAction]:
    """The actions in seconds of the film, within their window; those without words are left out."""
    shown = sorted((each for each in written.actions if each.action.strip()), key=lambda each: each.time)
    for number, each in enumerate(shown):
        begin_s = min(max(start_s + each.time, start_s), end_s)
        following = (other.time for other in shown[number + 1 :] if _plain(other.actor) == _plain(each.actor))
        until_s = min(end_s, max(begin_s, start_s + next(following, end_s - start_s)))
        yield TimedAction(
            start_s=begin_s,
            end_s=until_s,
            actor=_one_line(each.actor),
            action=_one_line(each.action),
            intent=_one_line(each.intent),
        )


def merge_actions(windows: Sequence[ReadWindow], *, join_s: float) -> tuple[TimedAction, ...]:
    """The actions of windows in order, those that go on made one.

    An action goes on if a window shows the same actor and action again at most `join_s` seconds after its end.
    """
    merged: list[TimedAction] = []
    newest: dict[tuple[str, str], int] = {}
    for window in windows:
        for action in window.actions:
            at = newest.get(action.key)
            if at is not None and action.start_s - merged[at].end_s <= join_s + EPSILON_S:
                merged[at] = _joined(merged[at], action)
                continue
            newest[action.key] = len(merged)
            merged.append(action)
    return tuple(sorted(merged, key=lambda each: (each.start_s, each.end_s)))


def _joined(first: TimedAction, then: TimedAction) -> TimedAction:
    return replace(
        first,
        start_s=min(first.start_s, then.start_s),
        end_s=max(first.end_s, then.end_s),
        intent=first.intent or then.intent,
        windows=first.windows + then.windows,
    )


def seen_seconds(windows: Iterable[ReadWindow]) -> float:
    """The length of the union of the windows that have an answer."""
    total, covered_to_s = 0.0, float("-inf")
    for window in sorted(windows, key=lambda each: each.start_s):
        if window.unknown is None:
            total += max(0.0, window.end_s - max(window.start_s, covered_to_s))
            covered_to_s = max(covered_to_s, window.end_s)
    return total


def _plain(text: str) -> str:
    return "".join(text.casefold().split()).strip("。.,，;；!！")


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
