"""The tables as this version reads and writes them; `migrations` is how a database gets there.

Times: `*_s` are seconds of the source, `*_utc` are `2026-11-20T11:50:33.123Z`, which sorts as text.
`happened_utc` is an event's onset on live sources; for files, which have no clock, when it was found.
`ended_utc` is the same of its end, and the end of time while it goes on.
"""

from sqlalchemy import Column, Double, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("epoch_s", Double),
    Column("model", String, nullable=False),
    Column("task", String, nullable=False),
    Column("contract", Text, nullable=False),
    Column("started_utc", String, nullable=False),
    Column("ended_utc", String),
    Column("ended_because", String, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("window", Integer, primary_key=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("outcome", String, nullable=False),
    Column("cause", String),
    Column("p_alarm", Double),
    Column("p_raw", Double),
    Column("p_outside", Double),
    Column("latency_ms", Double, nullable=False),
    Column("captured_s", Double),
    Column("text", Text),
    Column("detail", Text, nullable=False),
    Column("created_utc", String, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("source", String, nullable=False),
    Column("task", String, nullable=False),
    Column("model", String, nullable=False),
    Column("epoch_s", Double),
    Column("onset_s", Double, nullable=False),
    Column("end_s", Double),
    Column("peak", Double, nullable=False),
    Column("peak_s", Double, nullable=False),
    Column("tier", String, nullable=False),
    Column("announced_s", Double),
    Column("text", Text, nullable=False),
    Column("closed_because", String, nullable=False),
    Column("happened_utc", String, nullable=False),
    Column("ended_utc", String, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("updated_utc", String, nullable=False),
)

event_windows = Table(
    "event_windows",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("window", Integer, primary_key=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("p_alarm", Double),
)

media = Table(
    "media",
    metadata,
    Column("path", String, primary_key=True),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("created_utc", String, nullable=False),
)

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("vigil_version", String, nullable=False),
    Column("applied_utc", String, nullable=False),
)
