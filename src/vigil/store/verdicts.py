"""The verdict log: every window of every session, with its verdict."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from vigil.store import sessions
from vigil.store.database import upsert
from vigil.store.schema import verdicts
from vigil.store.times import utc_now
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict


def add(connection: Connection, judged: Sequence[tuple[str, JudgedWindow]]) -> None:
    """Writes verdicts, each with its session; an existing one is updated, as its description may arrive later."""
    now = utc_now()
    unknown = {session for session, each in judged if not each.camera_id}
    cameras = sessions.cameras_of(connection, list(unknown)) if unknown else {}
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
    }


def of_session(
    connection: Connection, session: str, *, source: str, from_s: float | None = None, to_s: float | None = None
) -> list[JudgedWindow]:
    """The verdicts of one session, in order; optionally those that overlap a span of seconds."""
    query = select(verdicts).where(verdicts.c.session_id == session).order_by(verdicts.c.start_s, verdicts.c.window)
    if from_s is not None:
        query = query.where(verdicts.c.end_s >= from_s)
    if to_s is not None:
        query = query.where(verdicts.c.start_s <= to_s)
    return [_judged(row, source) for row in connection.execute(query)]


def _judged(row: Row[*tuple[Any, ...]], source: str) -> JudgedWindow:
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
    )
    return JudgedWindow(
        source=source, camera_id=row.camera_id, window=row.window, verdict=verdict, captured_s=row.captured_s
    )
