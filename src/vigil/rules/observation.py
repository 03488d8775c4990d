"""The observation rule: what the semantic log says makes an event (somebody smokes, lights on with nobody there).

    settings = ObservationSettings(name="smoking", words=("cigarette", "香烟"))
    rule = ObservationRule(settings, source="yard", epoch_s=time.time())
    changes = rule.observe(judged)      # a window with its observation

It reads words and fields as they stand, and no meaning: "no cigarette" has the word too. Where it matters, a field of
the form says it without a sentence. What a field calls unclear, or an observation does not have, is unknown: it neither
opens an event nor ends one.
"""

import dataclasses
import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vigil.answer_schema import plain_fields
from vigil.errors import UsageError
from vigil.events import EventChange, EventWindow, TierThresholds
from vigil.rules.ongoing_event import OngoingEventRule
from vigil.rules.rule import QUIET
from vigil.scene import SCENE, SCENE_FIELDS, SCENE_SCHEMA
from vigil.verdict import JudgedWindow

UNCLEAR = "unclear"
MOST_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTerm:
    """What an observation must say: one of `words`, anywhere or in a `field`; or that a `field` equals or is empty.

    With `holds` false it must not say it. Raises UsageError for inconsistent values.
    """

    words: tuple[str, ...] = ()
    field: str = ""
    equals: str = ""
    is_empty: bool = False
    holds: bool = True

    def __post_init__(self) -> None:
        said = [bool(self.words), bool(self.equals), self.is_empty]
        problems = []
        if sum(said) != 1:
            problems.append("say one of words, equals and is_empty")
        if self.field and self.field not in SCENE_FIELDS:
            problems.append(_unknown_field(self.field))
        if not self.field and not self.words:
            problems.append(f"field is missing; there are {', '.join(SCENE_FIELDS)}")
        if any(not word.strip() for word in self.words) or len(self.words) > MOST_WORDS:
            problems.append(f"words must be 1 to {MOST_WORDS}, none of them empty")
        if problems:
            raise UsageError("; ".join(problems))

    def __str__(self) -> str:
        said = "-" if self.is_empty else self.equals or " | ".join(self.words)
        sign = "=" if self.holds else "≠"
        return f"{self.field} {sign} {said}" if self.field else said if self.holds else f"≠ {said}"

    def sight(self, text: str, fields: Mapping[str, Any] | None) -> bool | None:
        """Whether an observation says it; None if that is not known."""
        if self.field and fields is None:
            return None
        said = self._said(text, fields or {})
        return None if said is None else said is self.holds

    def _said(self, text: str, fields: Mapping[str, Any]) -> bool | None:
        if not self.field:
            return any(_has_word(each, self.words) for each in (text, *_texts(fields)))
        value = fields.get(self.field)
        if value is None or (value == UNCLEAR and self.equals != UNCLEAR):
            return None
        if self.is_empty:
            return not value
        if self.words:
            return any(_has_word(each, self.words) for each in _texts({"": value}))
        return any(_folded(each) == _folded(self.equals) for each in _texts({"": value}))


def _unknown_field(name: str) -> str:
    near = difflib.get_close_matches(name, SCENE_FIELDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SCENE_FIELDS)}"
    return f"an observation has no field {name!r}; {hint}"


def _texts(fields: Mapping[str, Any]) -> Iterator[str]:
    for value in fields.values():
        yield from (str(each) for each in (value if isinstance(value, list | tuple) else (value,)))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _has_word(text: str, words: Sequence[str]) -> bool:
    """Whether a text has one of the words, whatever its case and width; other letters may follow, none may precede it.

    So `cigarette` is in `cigarettes`, and `ash` not in `cash`. In scripts without spaces it may stand anywhere.
    """
    plain = _folded(text)
    for word in map(_folded, words):
        is_wide = unicodedata.east_asian_width(word[0]) in "WF"
        if word in plain and (is_wide or re.search(rf"(?<!\w){re.escape(word)}", plain)):
            return True
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSettings:
    """What the observations of a camera must say for an event, and when it is over.

    It is one term (`words`, or a `field` with `equals`, `words` or `is_empty`), or several (`all`) that must hold
    together. After `times` observations in a row that say it an event opens; after `misses` in a row that do not, it
    closes, and after `unknown_timeout_s` without an observation that tells. One that has been open for `max_event_s`
    is split. An observation has no measured probability, so events have the lowest tier. Raises UsageError for
    inconsistent values.
    """

    type: Literal["observation"] = "observation"
    name: str
    words: tuple[str, ...] = ()
    field: str = ""
    equals: str = ""
    is_empty: bool = False
    all: tuple[ObservedTerm, ...] = ()
    times: int = 1
    misses: int = 1
    unknown_timeout_s: float = 180.0
    max_event_s: float = 3600.0
    tiers: TierThresholds = dataclasses.field(default_factory=TierThresholds)

    def __post_init__(self) -> None:
        has_own = (self.words, self.field, self.equals, self.is_empty) != ((), "", "", False)
        checks = (
            (bool(self.name.strip()), "name must not be empty"),
            (has_own is not bool(self.all), "say one term (words, or field), or several in all"),
            (1 <= self.times <= 100, f"times must be from 1 to 100, not {self.times}"),
            (1 <= self.misses <= 100, f"misses must be from 1 to 100, not {self.misses}"),
            (self.unknown_timeout_s > 0, f"unknown_timeout_s must be above 0, not {self.unknown_timeout_s}"),
            (self.max_event_s > 0, f"max_event_s must be above 0, not {self.max_event_s}"),
        )
        problems = [message for ok, message in checks if not ok]
        if problems:
            raise UsageError("; ".join(problems))
        _ = self.observed_terms

    @property
    def observed_terms(self) -> tuple[ObservedTerm, ...]:
        """What must hold together."""
        own = {"words": self.words, "field": self.field, "equals": self.equals, "is_empty": self.is_empty}
        return self.all or (ObservedTerm(**own),)  # type: ignore[arg-type]

    @property
    def memory_s(self) -> float:
        """Seconds of the past from which it goes on after a restart."""
        return self.times * self.unknown_timeout_s

    @property
    def shown(self) -> str:
        """What must hold, for people: `cigarette | 香烟`, `lights = on & people = -`."""
        return " & ".join(map(str, self.observed_terms))

    @property
    def needs_fields(self) -> bool:
        """Whether it reads fields, which observations in words do not have."""
        return any(term.field for term in self.observed_terms)

    def sight(self, text: str, fields: Mapping[str, Any] | None) -> bool | None:
        """Whether an observation says all of it: false if one term is false, else unknown if one is unknown."""
        states = [term.sight(text, fields) for term in self.observed_terms]
        if False in states:
            return False
        return None if None in states else True


class ObservationRule(OngoingEventRule[ObservationSettings]):
    """Makes an event of what the observations of one source say; they are observed in order.

    Windows without an observation only let time pass.
    """

    def begin_anew(self) -> None:
        """Forgets the observations so far."""
        self._said: list[EventWindow] = []
        self._misses = 0

    def push(self, judged: JudgedWindow) -> list[EventChange]:
        """Closes the event if it is lost from sight by the end of a window."""
        return self._closed_anew(self._ongoing.tick(judged.end_s))

    def observe(self, judged: JudgedWindow) -> list[EventChange]:
        """Processes the next window with an observation (`judged.answers`); returns the changes, in order."""
        answer = judged.answers.get(SCENE)
        if answer is None or not answer.text:
            return []
        fields = SCENE_SCHEMA.read(answer.text).fields
        holds = self.settings.sight(answer.text, None if fields is None else plain_fields(fields))
        changes = self._closed_anew(self._ongoing.tick(judged.start_s if holds is not None else judged.end_s))
        self._ongoing.see(judged, is_known=holds is not None)
        evidence = EventWindow(
            window=judged.window, start_s=judged.start_s, end_s=judged.end_s, p_alarm=self.settings.tiers.low
        )
        if holds:
            return changes + self._closed_anew(self._hold(evidence, judged))
        return changes + ([] if holds is None else self._miss())

    def _hold(self, evidence: EventWindow, judged: JudgedWindow) -> list[EventChange]:
        self._misses = 0
        if self._ongoing.open_events:
            return self._ongoing.grow(evidence)
        self._said.append(evidence)
        if len(self._said) < self.settings.times:
            return []
        opened, self._said = self._said, []
        return [self._ongoing.open(self._origin, opened, judged, epoch_s=self.epoch_s)]

    def _miss(self) -> list[EventChange]:
        self._said = []
        if not self._ongoing.open_events:
            return []
        self._misses += 1
        return self._closed_anew(self._ongoing.close(QUIET)) if self._misses >= self.settings.misses else []

    def _closed_anew(self, changes: list[EventChange]) -> list[EventChange]:
        """The changes; once the event is closed, the next needs as many observations again."""
        if any(change.kind == "closed" for change in changes):
            self.begin_anew()
        return changes
