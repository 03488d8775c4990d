"""A made-up week of observations with known answers: 50,000 lines of eight cameras, drawn by rules from a seed.

Most lines are everyday scenes. In between are incidents: a kind (a ladder is carried), a colour where it has one, a
camera, a time, and one to four lines in Chinese or English. A question is made of an incident's kind in other words, a
phrase for its time, and its camera or not; its right answers are the lines of all incidents of that kind and colour in
that time before those cameras. A question without an answer asks for a kind that never was, or not then.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import yaml

from vigil.observation import Observation
from vigil.store import CameraRecord
from vigil.store.times import format_utc

NOW = datetime(2026, 11, 29, 23, 50)
"""A Sunday night, in local time: the week is the seven days before."""

DAYS = 7
LINES = 50_000
INCIDENTS = 420
CAMERAS = ("后门", "前台", "北门", "车库", "gate", "loading bay", "corridor", "yard")

Language: TypeAlias = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
Wording: TypeAlias = Literal["same words", "other words", "other language"]
WORDINGS: tuple[Wording, ...] = ("same words", "other words", "other language")

COLOURS = {"white": "白色", "black": "黑色", "red": "红色", "blue": "蓝色", "yellow": "黄色"}


WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
KINDS, NEVER, EVERYDAY, TAILS = (WORDS[name] for name in ("kinds", "never", "everyday", "tails"))
"""Incidents, what is asked for and never was, everyday scenes, and what may follow them; `{c}` is a colour."""

WEEKDAYS = (
    ("周一", "Monday"),
    ("周二", "Tuesday"),
    ("周三", "Wednesday"),
    ("周四", "Thursday"),
    ("周五", "Friday"),
    ("周六", "Saturday"),
    ("周日", "Sunday"),
)
PARTS = (
    ((0, 6), "凌晨", None),
    ((6, 12), "上午", "morning"),
    ((12, 18), "下午", "afternoon"),
    ((18, 24), "晚上", "evening"),
)


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, and the ids of its lines."""

    kind: int
    colour: str
    camera: str
    at: datetime
    language: Language
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WeekQuestion:
    """A question with the ids of all lines that answer it; none for one without an answer."""

    text: str
    language: Language
    wording: Wording
    right: frozenset[str]
    since: datetime | None
    until: datetime | None
    camera: str


class MadeWeek:
    """The week of one seed."""

    def __init__(self, seed: int, *, lines: int = LINES, incidents: int = INCIDENTS) -> None:
        self._random = random.Random(seed)
        self.cameras = [
            CameraRecord(id=f"cam_{number:08x}", name=name, identity=name, kind="stream")
            for number, name in enumerate(CAMERAS)
        ]
        self._ids = {camera.name: camera.id for camera in self.cameras}
        self.observations: list[Observation] = []
        self.incidents = [self._incident() for _ in range(incidents)]
        while len(self.observations) < lines:
            language = self._random.choice(LANGUAGES)
            text = self._random.choice(EVERYDAY)[language] + self._tail(language)
            self._add(text, self._random.choice(CAMERAS), self._moment())
        self.observations.sort(key=lambda each: each.happened_utc)

    def questions(self, count: int) -> Iterator[WeekQuestion]:
        """So many questions of each wording with an answer, and twice as many without one."""
        for wording in WORDINGS:
            for _ in range(count):
                yield self._answerable(wording)
        for number in range(2 * count):
            yield self._unanswerable(number)

    def _incident(self) -> Incident:
        kind = self._random.randrange(len(KINDS))
        colour = self._random.choice(list(COLOURS)) if _has_colour(kind) else ""
        camera, at = self._random.choice(CAMERAS), self._moment()
        language: Language = self._random.choice(LANGUAGES)
        lines = [
            self._add(
                _said(KINDS[kind], language, colour) + self._tail(language), camera, at + timedelta(seconds=10 * i)
            )
            for i in range(self._random.randint(1, 4))
        ]
        return Incident(kind, colour, camera, at, language, tuple(lines))

    def _tail(self, language: Language) -> str:
        return str(self._random.choice(TAILS)[language])

    def _moment(self) -> datetime:
        return NOW - timedelta(seconds=self._random.uniform(3600, DAYS * 86_400 - 3600))

    def _add(self, text: str, camera: str, at: datetime) -> str:
        made = f"o{len(self.observations):06d}"
        self.observations.append(
            Observation(
                id=made,
                camera_id=self._ids[camera],
                source=camera,
                session_id="",
                start_s=0.0,
                end_s=2.5,
                happened_utc=format_utc(at.timestamp()),
                text=text,
            )
        )
        return made

    def _answerable(self, wording: Wording) -> WeekQuestion:
        incident = self._random.choice(self.incidents)
        other: Language = "en" if incident.language == "zh" else "zh"
        language = other if wording == "other language" else incident.language
        said = _asked(KINDS[incident.kind], language, incident.colour, is_other=wording == "other words")
        return self._asked_then(said, language, wording, incident)

    def _unanswerable(self, number: int) -> WeekQuestion:
        language: Language = self._random.choice(LANGUAGES)
        if number % 2:
            said = self._random.choice(NEVER)[language]
            return WeekQuestion(said, language, "same words", frozenset(), None, None, "")
        while True:
            incident = self._random.choice(self.incidents)
            kind, colour = self._random.choice(self.incidents).kind, self._random.choice(list(COLOURS))
            colour = colour if _has_colour(kind) else ""
            said = _asked(KINDS[kind], language, colour, is_other=False)
            asked = self._asked_then(said, language, "same words", incident, kind=kind, colour=colour)
            if not asked.right:
                return asked

    def _asked_then(
        self, said: str, language: Language, wording: Wording, incident: Incident, *, kind: int = -1, colour: str = ""
    ) -> WeekQuestion:
        """Asks about the part of the day of an incident, and mostly about its camera."""
        kind, colour = (incident.kind, incident.colour) if kind < 0 else (kind, colour)
        camera = incident.camera if self._random.random() < 0.7 else ""
        (begin, end), zh_part, en_part = next(part for part in PARTS if part[0][0] <= incident.at.hour < part[0][1])
        midnight = incident.at.replace(hour=0, minute=0, second=0, microsecond=0)
        since, until = midnight + timedelta(hours=begin), midnight + timedelta(hours=end)
        zh_day, en_day = WEEKDAYS[incident.at.weekday()]
        if language == "zh":
            # A night begins on its day and ends on the next.
            until += timedelta(hours=6) if zh_part == "晚上" else timedelta()
            text = f"{zh_day}{zh_part}{camera}{said}"
        else:
            until, since = (until, since) if en_part else (midnight + timedelta(days=1), midnight)
            where = f" at the {camera}" if camera else ""
            text = f"{said}{where} on {en_day}{f' {en_part}' if en_part else ''}?"
        right = self._lines(kind, colour, wording, language, since, until, camera)
        return WeekQuestion(text, language, wording, right, since, until, camera)

    def _lines(
        self,
        kind: int,
        colour: str,
        wording: Wording,
        language: Language,
        since: datetime,
        until: datetime,
        camera: str,
    ) -> frozenset[str]:
        """The lines that answer: of this kind and colour, in that time, before that camera, in either language."""
        told = (
            each for each in self.incidents
            if (each.kind, each.colour) == (kind, colour) and since <= each.at <= until and camera in ("", each.camera)
        )  # fmt: skip
        return frozenset(line for each in told for line in each.lines)


def _has_colour(kind: int) -> bool:
    return "{c}" in KINDS[kind]["en"]["recorded"]


def _said(kind: Any, language: Language, colour: str) -> str:
    return _coloured(kind[language]["recorded"], language, colour)


def _asked(kind: Any, language: Language, colour: str, *, is_other: bool) -> str:
    return _coloured(kind[language]["other" if is_other else "same"], language, colour)


def _coloured(text: str, language: Language, colour: str) -> str:
    return text.format(c=COLOURS.get(colour, "") if language == "zh" else colour)


def recall_at(found: Sequence[str], right: frozenset[str], most: int) -> float:
    """The share of the right lines (of at most `most` of them) among the first `most` that were found."""
    return len(right & set(found[:most])) / min(most, len(right))
