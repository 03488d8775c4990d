"""The tables as this version reads and writes them; `migrations` creates them and upgrades older databases.

Times: `*_s` are seconds of the source; `*_utc` are strings like `2026-11-20T11:50:33.123Z`, which sort as text.
`happened_utc` is the onset of an event on live sources; for files, which have no clock, it is the time of detection.
`ended_utc` is the same for its end, and a date in the far future while the event is open.

`camera_id` is the id of a row of `cameras`, empty if unknown; `source` is that camera's name at the time. `identity`
distinguishes sources of the same name (`vigil.sources.source_identity`); it is empty in old sessions. Rows of `changes`
are written in the transaction of the change and are never updated. `cursors` holds the position of each consumer in
`changes`, and `handled_ahead` the changes it has handled beyond one that it has not. `events.untold` is unused since
there are cursors. A row of `deliveries` is one message of one sink, to be sent, sent or given up; `delivery_attempts`
holds each attempt to send it. `begins_s` of a clip is the second of the source at which it begins, NULL if unknown. A
row of `missed_spans` is an incident without an event; its `taken_back_utc` is empty while it counts. `masks` is JSON
(`vigil.masks`), and so is `rules` (`vigil.rules.camera_rules`); `source_name`,
`source_place`, `source_masks` and `source_rules` of `cameras` are what the list of sources said last.
`answers` is JSON (`vigil.store.stored_answers`), empty where the verdict says it all; `rest` is 1 for a rest window.
The `label` of a verdict is the most probable of its alarm labels, empty where `alarm` is the only one.
`picture` and `visible` of `camera_views` are bytes (`vigil.store.camera_views`); a row of `view_requests` says that the
present view of a camera is its right one, until the watch of it has kept that view.
`digest` is the SHA-256 of an API key, and empty times mean never. `fields` of `observations` is JSON, empty if the
answer was held to no schema.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class SafeText(TypeDecorator[str]):
    """Text from a model, a camera or a file name: unpaired surrogates and NUL characters are replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


metadata = MetaData()

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)

cameras = Table(
    "cameras",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("source_name", SafeText, nullable=False),
    Column("identity", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("address", SafeText, nullable=False),
    Column("place", SafeText, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("watched_utc", String, nullable=False),
    Column("masks", Text, nullable=False, server_default=""),
    Column("source_masks", Text, nullable=False, server_default=""),
    Column("source_place", SafeText, nullable=False, server_default=""),
    Column("rules", Text, nullable=False, server_default=""),
    Column("source_rules", Text, nullable=False, server_default=""),
)

camera_views = Table(
    "camera_views",
    metadata,
    Column("camera_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("picture", LargeBinary, nullable=False),
    Column("visible", LargeBinary, nullable=False),
    Column("sharpness", Double, nullable=False),
    Column("seen_s", Double, nullable=False),
    Column("kept_utc", String, nullable=False),
)

view_requests = Table(
    "view_requests",
    metadata,
    Column("camera_id", String, primary_key=True),
    Column("asked_utc", String, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String, primary_key=True),
    Column("source", SafeText, nullable=False),
    Column("epoch_s", Double),
    Column("model", SafeText, nullable=False),
    Column("task", SafeText, nullable=False),
    Column("contract", SafeText, nullable=False),
    Column("started_utc", String, nullable=False),
    Column("ended_utc", String),
    Column("ended_because", SafeText, nullable=False),
    Column("identity", String, nullable=False),
    Column("camera_id", String, nullable=False),
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
    Column("text", SafeText),
    Column("detail", SafeText, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("camera_id", String, nullable=False),
    Column("label", SafeText, nullable=False, server_default=""),
    Column("answers", SafeText, nullable=False, server_default=""),
    Column("rest", Integer, nullable=False, server_default="0"),
)

events = Table(
    "events",
    metadata,
    Column("id", String, primary_key=True),
    Column("session_id", ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("source", SafeText, nullable=False),
    Column("task", SafeText, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("epoch_s", Double),
    Column("onset_s", Double, nullable=False),
    Column("end_s", Double),
    Column("peak", Double, nullable=False),
    Column("peak_s", Double, nullable=False),
    Column("tier", String, nullable=False),
    Column("announced_s", Double),
    Column("text", SafeText, nullable=False),
    Column("closed_because", SafeText, nullable=False),
    Column("happened_utc", String, nullable=False),
    Column("ended_utc", String, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("updated_utc", String, nullable=False),
    Column("untold", String, nullable=False, server_default=""),
    Column("camera_id", String, nullable=False),
    Column("rule", SafeText, nullable=False),
    Column("label", SafeText, nullable=False, server_default=""),
)

event_windows = Table(
    "event_windows",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("window", Integer, primary_key=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("p_alarm", Double),
    Column("label", String, nullable=False, server_default=""),
    Column("p_raw", Double),
)

media = Table(
    "media",
    metadata,
    Column("path", String, primary_key=True),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("begins_s", Double),
)

marks = Table(
    "marks",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("mark", String, nullable=False),
    Column("who", SafeText, nullable=False),
    Column("note", SafeText, nullable=False),
    Column("marked_utc", String, nullable=False),
    Column("label", SafeText, nullable=False, server_default=""),
)

missed_spans = Table(
    "missed_spans",
    metadata,
    Column("id", String, primary_key=True),
    Column("camera_id", String, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("from_utc", String, nullable=False),
    Column("to_utc", String, nullable=False),
    Column("note", SafeText, nullable=False),
    Column("who", SafeText, nullable=False),
    Column("marked_utc", String, nullable=False),
    Column("taken_back_by", SafeText, nullable=False),
    Column("taken_back_utc", String, nullable=False),
)

changes = Table(
    "changes",
    metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("kind", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("camera_id", String, nullable=False),
    Column("event", SafeText, nullable=False),
    Column("written_utc", String, nullable=False),
)

event_search = Table(
    "event_search",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("words", SafeText, nullable=False),
)
"""The folded text of each event.

Its parts are indexed in a table `event_terms` of SQLite's FTS5, or on PostgreSQL in an array `terms` of this table;
only `vigil.store.term_index` knows them.
"""

observations = Table(
    "observations",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("camera_id", String, nullable=False),
    Column("source", SafeText, nullable=False),
    Column("session_id", String, nullable=False),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("happened_utc", String, nullable=False),
    Column("text", SafeText, nullable=False),
    Column("fields", SafeText, nullable=False),
    Column("question", SafeText, nullable=False),
    Column("model", SafeText, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("words", SafeText, nullable=False),
)
"""The lines of the semantic log; `words` is the folded text that is searched, its parts are in `observation_terms`.

No session or camera is referenced by a key: a line outlives the watch it is of.
"""

observation_vectors = Table(
    "observation_vectors",
    metadata,
    Column("number", ForeignKey("observations.number", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("event_id", ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("who", SafeText, nullable=False),
    Column("acknowledged_utc", String, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("name", SafeText, primary_key=True),
    Column("role", String, nullable=False),
    Column("password_hash", String, nullable=False),
    Column("created_utc", String, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", SafeText, nullable=False),
    Column("role", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("expires_utc", String, nullable=False),
    Column("revoked_utc", String, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_utc", String, nullable=False),
    Column("who", SafeText, nullable=False),
    Column("address", SafeText, nullable=False),
    Column("act", SafeText, nullable=False),
    Column("details", SafeText, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("camera_id", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("moved_utc", String, nullable=False),
)

handled_ahead = Table(
    "handled_ahead",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("camera_id", String, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("sink", String, nullable=False),
    Column("key", String, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("event_id", String, nullable=False),
    Column("camera_id", String, nullable=False),
    Column("scope", SafeText, nullable=False),
    Column("kind", String, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("event", SafeText, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_utc", String, nullable=False),
    Column("happened_utc", String, nullable=False),
    Column("active_utc", String, nullable=False),
    Column("created_utc", String, nullable=False),
    Column("done_utc", String),
    Column("detail", SafeText, nullable=False),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("outcome", String, nullable=False),
    Column("detail", SafeText, nullable=False),
    Column("tried_utc", String, nullable=False),
)

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("vigil_version", String, nullable=False),
    Column("applied_utc", String, nullable=False),
)
