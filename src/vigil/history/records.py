"""What a store has to answer a question with: events and observations, ranked, each with a number to cite it by.

found = find_records(store, question)
found.records          # best first: E1, E2, O1 ...
found.is_empty         # nothing that matches was recorded: decided here, not by a model
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeAlias

from vigil.events import Event, Mark
from vigil.history.event_kinds import kinds_named
from vigil.history.question import HistoryQuestion
from vigil.observation import Observation
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan, RankedRow
from vigil.store.times import format_utc

MATCHES_FROM = 0.35
"""The share of a question that a row must have to count as an answer (benchmarks/ask.py, docs/measurements)."""

RECORDS = 20
UNDESCRIBED = 5
CANDIDATES = 100

RANK_OFFSET = 60.0
"""k of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)."""

RecordKind: TypeAlias = Literal["event", "observation"]

MeaningUse: TypeAlias = Literal["on", "off", "not_installed"]
"""Whether observations were also searched by meaning; `not_installed` if the extra `meaning` is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRecord:
    """One event or observation that was found; an answer cites it by its `ref`: `E1`, `O3`.

    `until_utc` is the end of an event, empty while it goes on. `text` comes from a
    model or a person and is data. `score` is the share of the question that it contains.
    """

    kind: RecordKind
    id: str
    camera_id: str
    camera: str
    text: str
    place: str = ""
    ref: str = ""
    happened_utc: str = ""
    until_utc: str = ""
    rule: str = ""
    tier: str = ""
    mark: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecords:
    """What was found, best first, and of how much: events and observations of the span, and watches that went on.

    `unindexed` of the observations have no vector yet, so that a search by meaning has passed them over.
    """

    records: tuple[HistoryRecord, ...]
    events: int
    observations: int
    watches: int
    meaning: MeaningUse = "off"
    unindexed: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing that matches the question was recorded."""
        return not self.records


class MeaningSearch(Protocol):
    """Finds observations by what they mean (`vigil.history.meaning`)."""

    def observations(self, words: str, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        """The observations nearest in meaning, best first."""
        ...

    def missing(self, span: HistorySpan) -> int:
        """How many observations of a span cannot be found so yet."""
        ...


Key: TypeAlias = tuple[RecordKind, str]


def find_records(
    store: Store,
    question: HistoryQuestion,
    *,
    limit: int = RECORDS,
    matches_from: float = MATCHES_FROM,
    meaning: MeaningSearch | None = None,
) -> FoundRecords:
    """The events and observations that answer a question best; raises StoreError.

    A question without words of its own ("what happened last night?") is answered by the newest events and by
    observations spread over the span. Events without a text are always among what is found, as no word finds them.
    """
    span = question.span
    with store.sharing("searching"):
        found = (
            _best(store, question, limit=limit, matches_from=matches_from, meaning=meaning)
            if question.words
            else _overview(store, span, limit=limit)
        )
        watches = store.sessions.overlapping(
            since_utc=span.since_utc, until_utc=span.until_utc, camera_ids=span.camera_ids
        )
        return FoundRecords(
            records=_records(store, found),
            events=store.ranked.count_events(span),
            observations=store.ranked.count_observations(span),
            watches=len(watches),
            meaning="off" if meaning is None else "on",
            unindexed=0 if meaning is None else meaning.missing(span),
        )


def fused(*rankings: Sequence[Key]) -> list[Key]:
    """Rankings as one, by the sum of `1 / (60 + rank)` of each row in each of them."""
    scores: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (RANK_OFFSET + rank)
    return sorted(scores, key=lambda key: -scores[key])


def _overview(store: Store, span: HistorySpan, *, limit: int) -> dict[Key, RankedRow]:
    events = _keyed("event", store.ranked.newest_events(span, limit=max(1, limit // 2)))
    return events | _keyed("observation", store.ranked.spread_observations(span, limit=max(1, limit - len(events))))


def _best(
    store: Store, question: HistoryQuestion, *, limit: int, matches_from: float, meaning: MeaningSearch | None
) -> dict[Key, RankedRow]:
    """What matches, best first, and last the events that no word can find."""
    ranked, words, span = store.ranked, question.words, question.span
    # Of those that match alike, the ones whose words do come first.
    rows = _better(_keyed("event", ranked.events(words, span, limit=CANDIDATES)), _named(store, question))
    rows |= _keyed("observation", ranked.observations(words, span, limit=CANDIDATES))
    order = sorted((key for key in rows if rows[key].score >= matches_from), key=lambda key: -rows[key].score)
    if meaning is not None:
        near = _keyed("observation", meaning.observations(words, span, limit=CANDIDATES))
        order, rows = fused(order, list(near)), near | rows
    undescribed = _keyed("event", ranked.newest_events(span, limit=UNDESCRIBED, undescribed_only=True))
    best = {key: rows[key] for key in order[: max(1, limit - len(undescribed))]}
    return best | {key: row for key, row in undescribed.items() if key not in best}


def _named(store: Store, question: HistoryQuestion) -> dict[Key, RankedRow]:
    """The newest events of the kinds that a question names."""
    span, rows = question.span, list[RankedRow]()
    for kind, score in kinds_named(question.words, store.ranked.event_kinds(span)).items():
        rows += store.ranked.events_of_kind(kind, span, score=score, limit=CANDIDATES)
    return _keyed("event", rows)


def _better(one: Mapping[Key, RankedRow], other: Mapping[Key, RankedRow]) -> dict[Key, RankedRow]:
    """The rows of both; of those in both, the one with the higher score."""
    rows = dict(one)
    for key, row in other.items():
        if key not in rows or rows[key].score < row.score:
            rows[key] = row
    return rows


def _keyed(kind: RecordKind, rows: Sequence[RankedRow]) -> dict[Key, RankedRow]:
    return {(kind, row.id): row for row in rows}


def _records(store: Store, found: Mapping[Key, RankedRow]) -> tuple[HistoryRecord, ...]:
    """The rows as records, numbered in their order; one that was deleted in the meantime is left out."""
    ids = {kind: [key[1] for key in found if key[0] == kind] for kind in ("event", "observation")}
    marks = store.marks.newest(ids["event"])
    made = {("event", each.id): _of_event(each, marks.get(each.id)) for each in store.events.by_ids(ids["event"])}
    made |= {("observation", each.id): _of_line(each) for each in store.observations.by_ids(ids["observation"])}
    counts = {"event": 0, "observation": 0}
    records = []
    for key, row in found.items():
        if key in made:
            counts[key[0]] += 1
            ref = f"{key[0][0].upper()}{counts[key[0]]}"
            records.append(replace(made[key], ref=ref, score=row.score, happened_utc=row.happened_utc))
    return tuple(records)


def _of_event(event: Event, mark: Mark | None) -> HistoryRecord:
    until_s = None if event.end_s is None or event.epoch_s is None else event.epoch_s + event.end_s
    told = [event.text, f"({mark.note})" if mark is not None and mark.note else ""]
    return HistoryRecord(
        kind="event",
        id=event.id,
        camera_id=event.camera_id,
        camera=event.source,
        place=event.place,
        until_utc="" if until_s is None else format_utc(until_s),
        text=" ".join(filter(None, told)),
        rule=event.rule or event.task,
        tier=event.tier.value,
        mark="" if mark is None else mark.mark,
    )


def _of_line(line: Observation) -> HistoryRecord:
    said = line.text or json.dumps(line.fields or {}, ensure_ascii=False)
    return HistoryRecord(
        kind="observation",
        id=line.id,
        camera_id=line.camera_id,
        camera=line.source,
        place=line.place,
        text=said,
    )
