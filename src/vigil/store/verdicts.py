"""The verdicts table: every judged window of every session, with its verdict.

store.verdicts.add(judged)
store.verdicts.around(event, margin_s=10)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select

from vigil.events import Event, new_id
from vigil.store.cameras import CameraRecord
from vigil.store.database import Database, upsert
from vigil.store.event_rows import last_window_end_s
from vigil.store.schema import verdicts
from vigil.store.sessions import SessionTable, WatchSession, cameras_of, insert_session, live_sessions, session_of
from vigil.store.stored_answers import TOLD_BY_VERDICT, answers_from_text, answers_to_text
from vigil.store.times import format_utc, utc_now
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict


class VerdictTable:
    """The verdicts of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database, sessions: SessionTable) -> None:
        self._database = database
        self._sessions = sessions

    def add(self, judged: Sequence[JudgedWindow], *, sessions: Sequence[str] = ()) -> None:
        """Adds verdicts to the log; an existing one is updated, as its description may arrive later.

        Each belongs to the current session of its source, unless `sessions` gives one for each. A source without a
        session gets a new one.
        """
        if not judged:
            return
        with self._database.writing("writing verdicts") as connection:
            started = {} if sessions else self._start_missing(connection, judged)
            chosen = sessions or [self._sessions.current(each) or started[_key(each)] for each in judged]
            _upsert(connection, list(zip(chosen, judged, strict=True)))
        self._sessions.note_current(started)

    def _start_missing(self, connection: Connection, judged: Sequence[JudgedWindow]) -> dict[str, str]:
        """Starts a session for each source that has none; returns them by camera id, or by name if it has no id."""
        begun = {_key(each): each for each in judged if self._sessions.current(each) is None}
        return {key: _start(connection, each).id for key, each in begun.items()}

    def of_session(self, session: WatchSession) -> list[JudgedWindow]:
        """The verdicts of one session, in order."""
        with self._database.reading("reading verdicts") as connection:
            return _of_session(connection, session)

    def of_live_sessions(
        self, camera_id: str, *, task: str, from_utc_s: float
    ) -> list[tuple[WatchSession, list[JudgedWindow]]]:
        """The sessions of a camera under a task that were live after a time (`time.time()`), oldest first.

        Each with those of its verdicts that end after that time, in order; sessions without any are left out.
        """
        with self._database.reading("reading verdicts") as connection:
            found = [
                (session, _of_session(connection, session, from_s=from_utc_s - epoch_s))
                for session in live_sessions(
                    connection, camera_id, task=task, from_utc=format_utc(max(0.0, from_utc_s))
                )
                if (epoch_s := session.epoch_s) is not None
            ]
        return [(session, windows) for session, windows in found if windows]

    def around(self, event: Event, *, margin_s: float) -> list[JudgedWindow]:
        """The verdicts from `margin_s` before an event to `margin_s` after it; empty if it has no session."""
        last_s = last_window_end_s(event) if event.end_s is None else event.end_s
        from_s, to_s = event.onset_s - margin_s, last_s + margin_s
        with self._database.reading("reading verdicts") as connection:
            session = session_of(connection, event.id)
            if session is None:
                return []
            own = replace(session, source=event.source)
            return _of_session(connection, own, from_s=from_s, to_s=to_s)


def _key(judged: JudgedWindow) -> str:
    return judged.camera_id or judged.source


def _start(connection: Connection, judged: JudgedWindow) -> WatchSession:
    session = WatchSession(id=new_id(), source=judged.source, started_utc=utc_now())
    return insert_session(connection, session, camera=CameraRecord(id=judged.camera_id, name=judged.source))


def _upsert(connection: Connection, judged: Sequence[tuple[str, JudgedWindow]]) -> None:
    now = utc_now()
    unknown = {session for session, each in judged if not each.camera_id}
    cameras = cameras_of(connection, list(unknown)) if unknown else {}
    rows = [_row(session, each, now, camera_id=each.camera_id or cameras.get(session, "")) for session, each in judged]
    upsert(connection, verdicts, rows, keep=("created_utc",))


def _row(session: str, judged: JudgedWindow, now: str, *, camera_id: str) -> dict[str, Any]:
    verdict = judged.verdict
    return {
        "session_id": session,
        "camera_id": camera_id,
        "window": judged.window,
        "start_s": judged.start_s,
        "end_s": judged.end_s,
        "outcome": verdict.outcome.value,
        "cause": verdict.cause.value if verdict.cause else None,
        "p_alarm": verdict.p_alarm,
        "p_raw": verdict.p_raw,
        "p_outside": verdict.p_outside,
        "latency_ms": verdict.latency_ms,
        "captured_s": judged.captured_s,
        "text": verdict.text,
        "detail": verdict.detail,
        "created_utc": now,
        "label": verdict.alarm_label,
        "answers": answers_to_text(judged.answers),
        "rest": int(judged.rest),
    }


def _of_session(
    connection: Connection, session: WatchSession, *, from_s: float | None = None, to_s: float | None = None
) -> list[JudgedWindow]:
    """The verdicts of one session, in order; optionally those that overlap a span of seconds."""
    query = select(verdicts).where(verdicts.c.session_id == session.id).order_by(verdicts.c.start_s, verdicts.c.window)
    if from_s is not None:
        # Windows end in the order in which they begin, so what precedes one that is over need not be read.
        over = select(verdicts.c.start_s).where(
            verdicts.c.session_id == session.id, verdicts.c.start_s <= from_s, verdicts.c.end_s < from_s
        )
        begins_s = connection.execute(over.order_by(verdicts.c.start_s.desc()).limit(1)).scalar()
        query = query.where(verdicts.c.end_s >= from_s)
        if begins_s is not None:
            query = query.where(verdicts.c.start_s >= begins_s)
    if to_s is not None:
        query = query.where(verdicts.c.start_s <= to_s)
    return [_judged(row, session) for row in connection.execute(query)]


def _judged(row: Row[*tuple[Any, ...]], session: WatchSession) -> JudgedWindow:
    answers = answers_from_text(row.answers)
    verdict = Verdict(
        outcome=Outcome(row.outcome),
        cause=Cause(row.cause) if row.cause else None,
        p_alarm=row.p_alarm,
        p_raw=row.p_raw,
        p_outside=row.p_outside,
        text=row.text,
        start_s=row.start_s,
        end_s=row.end_s,
        latency_ms=row.latency_ms,
        detail=row.detail,
        probabilities=_classes(answers.get(session.task)),
        alarm_label=row.label,
    )
    return JudgedWindow(
        source=session.source,
        camera_id=row.camera_id,
        window=row.window,
        verdict=verdict,
        captured_s=row.captured_s,
        rest=bool(row.rest),
        answers=answers,
    )


def _classes(own: Answer | None) -> Mapping[str, float]:
    """The probabilities of a verdict's labels, if its question has others than `alarm` and `normal`."""
    return {} if own is None or set(own.probabilities) <= TOLD_BY_VERDICT else own.probabilities
