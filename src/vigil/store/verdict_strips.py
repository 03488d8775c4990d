"""What a camera's verdicts were at any time, as clocks tell it: single windows, or so many buckets of a long time.

    store.verdict_strips.bucketed(camera_id, from_s=..., to_s=..., buckets=600)      # a day: lowest and highest of each
    store.verdict_strips.windows(camera_id, from_s=..., to_s=...)                 # a minute: each window

Times are `time.time()` seconds. Verdicts know the second of their session, and sessions of live sources the time of
their second 0; those of files, which have no clock, are not found here. Buckets are made in SQL, each session by its
own index, so a day costs what its windows cost to count, and never their rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, and_, case, cast, func, select

from vigil.store.database import Database
from vigil.store.schema import sessions, verdicts
from vigil.store.times import format_utc
from vigil.verdict import Cause, Outcome

MOST_SESSIONS = 500
MOST_WINDOWS = 2000
LONGEST_SESSION_S = 400 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StripBucket:
    """Some windows that begin within the same stretch of time, which begins at `start_s`.

    `p_least` and `p_most` are the lowest and highest probability, None if no verdict of them has one; `unknown` counts
    those without a verdict.
    """

    start_s: float
    p_least: float | None
    p_most: float | None
    windows: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedVerdict:
    """One window with its verdict, at the time of clocks; `session_start_s` is the second of its session."""

    window: int
    start_s: float
    end_s: float
    session_start_s: float
    outcome: Outcome
    cause: Cause | None
    p_alarm: float | None
    text: str | None


@dataclass(frozen=True, slots=True)
class _SessionSpan:
    id: str
    epoch_s: float


class VerdictStripTable:
    """Reads the verdicts of a camera by time; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def bucketed(self, camera_id: str, *, from_s: float, to_s: float, buckets: int) -> list[StripBucket]:
        """The verdicts that begin between two times in `buckets` equal stretches; those without any are left out."""
        width_s = (to_s - from_s) / buckets
        found: dict[int, StripBucket] = {}
        with self._database.reading("reading the verdicts of a camera") as connection:
            for session in _sessions(connection, camera_id, from_s=from_s, to_s=to_s):
                for each in _buckets(connection, session, from_s=from_s, to_s=to_s, width_s=width_s):
                    number = min(round((each.start_s - from_s) / width_s), buckets - 1)
                    found[number] = _joined(found.get(number), each)
        return [found[number] for number in sorted(found)]

    def windows(self, camera_id: str, *, from_s: float, to_s: float, limit: int = MOST_WINDOWS) -> list[TimedVerdict]:
        """The windows that overlap two times, in order, at most `limit`."""
        found: list[TimedVerdict] = []
        with self._database.reading("reading the verdicts of a camera") as connection:
            for session in _sessions(connection, camera_id, from_s=from_s, to_s=to_s):
                found += _windows(connection, session, from_s=from_s, to_s=to_s, limit=limit)
        return sorted(found, key=lambda each: (each.start_s, each.window))[:limit]


def _sessions(connection: Connection, camera_id: str, *, from_s: float, to_s: float) -> list[_SessionSpan]:
    """The live sessions of a camera that went on between two times, the newest if there are too many."""
    is_over = and_(sessions.c.ended_utc.is_not(None), sessions.c.ended_utc < format_utc(max(0.0, from_s)))
    wanted = (
        sessions.c.camera_id == camera_id,
        sessions.c.epoch_s.is_not(None),
        sessions.c.epoch_s <= to_s,
        # A session that was killed has no end; its verdicts say whether it went on.
        sessions.c.epoch_s >= from_s - LONGEST_SESSION_S,
        ~is_over,
    )
    query = select(sessions.c.id, sessions.c.epoch_s).where(*wanted).order_by(sessions.c.epoch_s.desc())
    return [_SessionSpan(row.id, row.epoch_s) for row in connection.execute(query.limit(MOST_SESSIONS))]


def _buckets(
    connection: Connection, session: _SessionSpan, *, from_s: float, to_s: float, width_s: float
) -> Iterator[StripBucket]:
    begin_s = from_s - session.epoch_s
    number = _whole(connection, (verdicts.c.start_s - begin_s) / width_s)
    query = (
        select(
            number.label("number"),
            func.min(verdicts.c.p_alarm).label("least"),
            func.max(verdicts.c.p_alarm).label("most"),
            func.count().label("windows"),
            func.sum(case((verdicts.c.cause.is_not(None), 1), else_=0)).label("unknown"),
        )
        .where(verdicts.c.session_id == session.id)
        .where(verdicts.c.start_s >= begin_s, verdicts.c.start_s < to_s - session.epoch_s)
        .group_by(number)
    )
    for row in connection.execute(query):
        start_s = from_s + row.number * width_s
        yield StripBucket(
            start_s=start_s, p_least=row.least, p_most=row.most, windows=row.windows, unknown=int(row.unknown)
        )


def _whole(connection: Connection, value: ColumnElement[Any]) -> ColumnElement[int]:
    """The integer part of a value that is not negative: PostgreSQL rounds where SQLite cuts off."""
    return cast(value if connection.dialect.name == "sqlite" else func.floor(value), Integer)


def _joined(one: StripBucket | None, other: StripBucket) -> StripBucket:
    if one is None:
        return other
    return StripBucket(
        start_s=one.start_s,
        p_least=min(_known(one.p_least, other.p_least), default=None),
        p_most=max(_known(one.p_most, other.p_most), default=None),
        windows=one.windows + other.windows,
        unknown=one.unknown + other.unknown,
    )


def _known(*values: float | None) -> Sequence[float]:
    return [value for value in values if value is not None]


def _windows(
    connection: Connection, session: _SessionSpan, *, from_s: float, to_s: float, limit: int
) -> list[TimedVerdict]:
    begin_s, finish_s = from_s - session.epoch_s, to_s - session.epoch_s
    own = verdicts.c.session_id == session.id
    # Windows end in the order in which they begin, so what precedes one that is over need not be read.
    over = select(verdicts.c.start_s).where(own, verdicts.c.start_s <= begin_s, verdicts.c.end_s < begin_s)
    last_s = connection.execute(over.order_by(verdicts.c.start_s.desc()).limit(1)).scalar()
    query = select(verdicts).where(own, verdicts.c.end_s >= begin_s, verdicts.c.start_s <= finish_s)
    query = query if last_s is None else query.where(verdicts.c.start_s >= last_s)
    rows = connection.execute(query.order_by(verdicts.c.start_s, verdicts.c.window).limit(limit))
    return [
        TimedVerdict(
            window=row.window,
            start_s=session.epoch_s + row.start_s,
            end_s=session.epoch_s + row.end_s,
            session_start_s=row.start_s,
            outcome=Outcome(row.outcome),
            cause=Cause(row.cause) if row.cause else None,
            p_alarm=row.p_alarm,
            text=row.text,
        )
        for row in rows
    ]
