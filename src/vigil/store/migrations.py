"""Migrations: numbered steps from an empty database to the tables of this version. Only append to them.

A released step is never edited, since existing databases have already run it. Steps are plain SQL that both SQLite and
PostgreSQL understand, apart from those in `only`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, inspect, select

from vigil import __version__
from vigil.errors import StoreError
from vigil.store import schema
from vigil.store.camera_migration import fill_cameras
from vigil.store.change_migration import fill_changes
from vigil.store.postgresql import wait_as_long_as_it_takes
from vigil.store.search_migration import fill_search
from vigil.store.times import utc_now


@dataclass(frozen=True, slots=True)
class Migration:
    """One step; `number` counts from 1 without gaps. `fill` populates new tables or columns from existing rows."""

    number: int
    name: str
    statements: tuple[str, ...]
    fill: Callable[[Connection], None] | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further statements for one kind of database, by its name."""


MIGRATIONS = (
    Migration(
        1,
        "sessions, verdicts, events, their windows and media",
        (
            """CREATE TABLE sessions (
                id VARCHAR NOT NULL PRIMARY KEY, source VARCHAR NOT NULL, epoch_s DOUBLE PRECISION,
                model VARCHAR NOT NULL, task VARCHAR NOT NULL, contract TEXT NOT NULL, started_utc VARCHAR NOT NULL,
                ended_utc VARCHAR, ended_because VARCHAR NOT NULL)""",
            "CREATE INDEX sessions_by_source ON sessions (source, started_utc)",
            """CREATE TABLE verdicts (
                session_id VARCHAR NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, "window" INTEGER NOT NULL,
                start_s DOUBLE PRECISION NOT NULL, end_s DOUBLE PRECISION NOT NULL, outcome VARCHAR NOT NULL,
                cause VARCHAR, p_alarm DOUBLE PRECISION, p_raw DOUBLE PRECISION, p_outside DOUBLE PRECISION,
                latency_ms DOUBLE PRECISION NOT NULL, captured_s DOUBLE PRECISION, text TEXT, detail TEXT NOT NULL,
                created_utc VARCHAR NOT NULL, PRIMARY KEY (session_id, "window"))""",
            "CREATE INDEX verdicts_by_age ON verdicts (created_utc)",
            """CREATE TABLE events (
                id VARCHAR NOT NULL PRIMARY KEY, session_id VARCHAR REFERENCES sessions (id) ON DELETE SET NULL,
                source VARCHAR NOT NULL, task VARCHAR NOT NULL, model VARCHAR NOT NULL, epoch_s DOUBLE PRECISION,
                onset_s DOUBLE PRECISION NOT NULL, end_s DOUBLE PRECISION, peak DOUBLE PRECISION NOT NULL,
                peak_s DOUBLE PRECISION NOT NULL, tier VARCHAR NOT NULL, announced_s DOUBLE PRECISION,
                text TEXT NOT NULL, closed_because VARCHAR NOT NULL, happened_utc VARCHAR NOT NULL,
                ended_utc VARCHAR NOT NULL, created_utc VARCHAR NOT NULL,
                updated_utc VARCHAR NOT NULL)""",
            "CREATE INDEX events_by_time ON events (happened_utc)",
            "CREATE INDEX events_by_source ON events (source, happened_utc)",
            "CREATE INDEX events_by_session ON events (session_id)",
            """CREATE TABLE event_windows (
                event_id VARCHAR NOT NULL REFERENCES events (id) ON DELETE CASCADE, "window" INTEGER NOT NULL,
                start_s DOUBLE PRECISION NOT NULL, end_s DOUBLE PRECISION NOT NULL, p_alarm DOUBLE PRECISION,
                PRIMARY KEY (event_id, "window"))""",
            """CREATE TABLE media (
                path VARCHAR NOT NULL PRIMARY KEY, event_id VARCHAR NOT NULL REFERENCES events (id) ON DELETE CASCADE,
                kind VARCHAR NOT NULL, size_bytes BIGINT NOT NULL, created_utc VARCHAR NOT NULL)""",
            "CREATE INDEX media_by_event ON media (event_id)",
        ),
    ),
    Migration(
        2,
        "marks of events",
        (
            """CREATE TABLE marks (
                event_id VARCHAR NOT NULL REFERENCES events (id) ON DELETE CASCADE, "number" INTEGER NOT NULL,
                mark VARCHAR NOT NULL, who VARCHAR NOT NULL, note TEXT NOT NULL, marked_utc VARCHAR NOT NULL,
                PRIMARY KEY (event_id, "number"))""",
        ),
    ),
    Migration(
        3,
        "what was stored and not told yet",
        ("ALTER TABLE events ADD COLUMN untold VARCHAR NOT NULL DEFAULT ''",),
    ),
    Migration(
        4,
        "which source a watch is of, whatever it is called",
        ("ALTER TABLE sessions ADD COLUMN identity VARCHAR NOT NULL DEFAULT ''",),
    ),
    Migration(
        5,
        "cameras with ids that stay",
        (
            "CREATE TABLE settings (name VARCHAR NOT NULL PRIMARY KEY, value VARCHAR NOT NULL)",
            """CREATE TABLE cameras (
                id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, source_name VARCHAR NOT NULL,
                identity VARCHAR NOT NULL, kind VARCHAR NOT NULL, address VARCHAR NOT NULL, place VARCHAR NOT NULL,
                created_utc VARCHAR NOT NULL, watched_utc VARCHAR NOT NULL)""",
            "CREATE INDEX cameras_by_identity ON cameras (identity)",
            "CREATE INDEX cameras_by_name ON cameras (name)",
            "ALTER TABLE sessions ADD COLUMN camera_id VARCHAR NOT NULL DEFAULT ''",
            "ALTER TABLE verdicts ADD COLUMN camera_id VARCHAR NOT NULL DEFAULT ''",
            "ALTER TABLE events ADD COLUMN camera_id VARCHAR NOT NULL DEFAULT ''",
            "CREATE INDEX sessions_by_camera ON sessions (camera_id, started_utc)",
            "CREATE INDEX events_by_camera ON events (camera_id, happened_utc)",
        ),
        fill_cameras,
    ),
    Migration(
        6,
        "the log of changes, and who has read how far",
        (
            """CREATE TABLE changes (
                sequence {NUMBERED}, kind VARCHAR NOT NULL, event_id VARCHAR NOT NULL, camera_id VARCHAR NOT NULL,
                event TEXT NOT NULL, written_utc VARCHAR NOT NULL)""",
            "CREATE INDEX changes_by_camera ON changes (camera_id, sequence)",
            "CREATE INDEX changes_by_event ON changes (event_id, sequence)",
            "CREATE INDEX changes_by_age ON changes (written_utc)",
            """CREATE TABLE cursors (
                consumer VARCHAR NOT NULL, camera_id VARCHAR NOT NULL, sequence BIGINT NOT NULL,
                moved_utc VARCHAR NOT NULL, PRIMARY KEY (consumer, camera_id))""",
            """CREATE TABLE handled_ahead (
                consumer VARCHAR NOT NULL, sequence BIGINT NOT NULL, camera_id VARCHAR NOT NULL,
                PRIMARY KEY (consumer, sequence))""",
        ),
        fill_changes,
    ),
    Migration(
        7,
        "which rule made an event",
        ("ALTER TABLE events ADD COLUMN rule VARCHAR NOT NULL DEFAULT ''",),
    ),
    Migration(
        8,
        "full-text search, and indexes for stores of a million verdicts",
        (
            """CREATE TABLE event_search (
                number {NUMBERED}, event_id VARCHAR NOT NULL UNIQUE REFERENCES events (id) ON DELETE CASCADE,
                words TEXT NOT NULL)""",
            # They hold what the list of events is filtered by, so that it is not looked up in the table row by row.
            "CREATE INDEX events_in_list ON events (happened_utc, id, ended_utc, tier, rule)",
            "CREATE INDEX events_of_camera ON events (camera_id, happened_utc, id, ended_utc, tier, rule)",
            "DROP INDEX events_by_time",
            "DROP INDEX events_by_camera",
            "CREATE INDEX events_open ON events (happened_utc, id) WHERE end_s IS NULL",
            "CREATE INDEX events_by_rule ON events (rule, happened_utc, id)",
            "CREATE INDEX events_by_tier ON events (tier, happened_utc, id)",
            "CREATE INDEX events_by_end ON events (ended_utc)",
            "CREATE INDEX marks_by_value ON marks (mark, event_id, number)",
            "CREATE INDEX verdicts_by_second ON verdicts (session_id, start_s)",
        ),
        fill_search,
        only={
            "sqlite": (
                "CREATE VIRTUAL TABLE event_terms USING fts5 (terms, tokenize = 'ascii', detail = 'none')",
                """CREATE TRIGGER event_search_deleted AFTER DELETE ON event_search
                    BEGIN DELETE FROM event_terms WHERE rowid = OLD.number; END""",
            ),
            "postgresql": (
                "ALTER TABLE event_search ADD COLUMN terms TEXT[] NOT NULL DEFAULT '{}'",
                # Without a list of pending entries, which each search would have to read through.
                "CREATE INDEX event_search_by_term ON event_search USING gin (terms) WITH (fastupdate = off)",
            ),
        },
    ),
    Migration(
        9,
        "what is sent to the sinks of alerts, and each attempt",
        (
            """CREATE TABLE deliveries (
                id {NUMBERED}, sink VARCHAR NOT NULL, key VARCHAR NOT NULL UNIQUE, incident_id VARCHAR NOT NULL,
                revision INTEGER NOT NULL, event_id VARCHAR NOT NULL, camera_id VARCHAR NOT NULL,
                scope VARCHAR NOT NULL, kind VARCHAR NOT NULL, sequence BIGINT NOT NULL, event TEXT NOT NULL,
                state VARCHAR NOT NULL, attempts INTEGER NOT NULL, due_utc VARCHAR NOT NULL,
                happened_utc VARCHAR NOT NULL, active_utc VARCHAR NOT NULL,
                created_utc VARCHAR NOT NULL, done_utc VARCHAR, detail TEXT NOT NULL)""",
            "CREATE INDEX deliveries_by_state ON deliveries (sink, state, due_utc)",
            "CREATE INDEX deliveries_by_event ON deliveries (sink, event_id, id)",
            "CREATE INDEX deliveries_by_incident ON deliveries (sink, incident_id, id)",
            "CREATE INDEX deliveries_by_scope ON deliveries (sink, scope, active_utc)",
            "CREATE INDEX deliveries_by_age ON deliveries (created_utc)",
            """CREATE TABLE delivery_attempts (
                delivery_id BIGINT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE, "number" INTEGER NOT NULL,
                outcome VARCHAR NOT NULL, detail TEXT NOT NULL, tried_utc VARCHAR NOT NULL,
                PRIMARY KEY (delivery_id, "number"))""",
        ),
    ),
    Migration(
        10,
        "users, API keys, what they did, and which alarms they have seen",
        (
            """CREATE TABLE users (
                name VARCHAR NOT NULL PRIMARY KEY, role VARCHAR NOT NULL, password_hash VARCHAR NOT NULL,
                created_utc VARCHAR NOT NULL)""",
            """CREATE TABLE api_keys (
                id VARCHAR NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, role VARCHAR NOT NULL,
                scopes VARCHAR NOT NULL, digest VARCHAR NOT NULL, created_utc VARCHAR NOT NULL,
                expires_utc VARCHAR NOT NULL, revoked_utc VARCHAR NOT NULL)""",
            "CREATE UNIQUE INDEX api_keys_by_digest ON api_keys (digest)",
            """CREATE TABLE audit (
                "number" {NUMBERED}, at_utc VARCHAR NOT NULL, who VARCHAR NOT NULL, address VARCHAR NOT NULL,
                act VARCHAR NOT NULL, details TEXT NOT NULL)""",
            "CREATE INDEX audit_by_age ON audit (at_utc)",
            """CREATE TABLE acknowledgements (
                event_id VARCHAR NOT NULL PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
                who VARCHAR NOT NULL, acknowledged_utc VARCHAR NOT NULL)""",
        ),
    ),
    Migration(
        11,
        "missed incidents, where clips begin, and who was told of an event",
        (
            """CREATE TABLE missed_spans (
                id VARCHAR NOT NULL PRIMARY KEY, camera_id VARCHAR NOT NULL, source VARCHAR NOT NULL,
                from_utc VARCHAR NOT NULL, to_utc VARCHAR NOT NULL, note TEXT NOT NULL, who VARCHAR NOT NULL,
                marked_utc VARCHAR NOT NULL, taken_back_by VARCHAR NOT NULL, taken_back_utc VARCHAR NOT NULL)""",
            "CREATE INDEX missed_spans_by_time ON missed_spans (from_utc, id)",
            "CREATE INDEX missed_spans_of_camera ON missed_spans (camera_id, from_utc, id)",
            "ALTER TABLE media ADD COLUMN begins_s DOUBLE PRECISION",
            "CREATE INDEX deliveries_of_event ON deliveries (event_id, id)",
        ),
    ),
    Migration(
        12,
        "masks of cameras, and what the settings last said of masks and places",
        (
            "ALTER TABLE cameras ADD COLUMN masks TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE cameras ADD COLUMN source_masks TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE cameras ADD COLUMN source_place VARCHAR NOT NULL DEFAULT ''",
        ),
    ),
    Migration(
        13,
        "rules and schedules of cameras",
        (
            "ALTER TABLE cameras ADD COLUMN rules TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE cameras ADD COLUMN source_rules TEXT NOT NULL DEFAULT ''",
        ),
    ),
    Migration(
        14,
        "observations, the lines of the semantic log",
        (
            """CREATE TABLE observations (
                number {NUMBERED}, id VARCHAR NOT NULL UNIQUE, camera_id VARCHAR NOT NULL, source VARCHAR NOT NULL,
                session_id VARCHAR NOT NULL, start_s DOUBLE PRECISION NOT NULL, end_s DOUBLE PRECISION NOT NULL,
                happened_utc VARCHAR NOT NULL, text TEXT NOT NULL, fields TEXT NOT NULL, question VARCHAR NOT NULL,
                model VARCHAR NOT NULL, tokens INTEGER NOT NULL, words TEXT NOT NULL)""",
            "CREATE INDEX observations_by_time ON observations (happened_utc)",
            "CREATE INDEX observations_of_camera ON observations (camera_id, happened_utc)",
            """CREATE TABLE observation_vectors (
                number BIGINT NOT NULL PRIMARY KEY REFERENCES observations (number) ON DELETE CASCADE,
                vector {BYTES} NOT NULL)""",
        ),
        only={
            # It keeps no terms and no lengths, which would be most of its size.
            "sqlite": (
                """CREATE VIRTUAL TABLE observation_terms USING fts5
                    (terms, tokenize = 'ascii', detail = 'none', content = '', columnsize = 0)""",
            ),
            "postgresql": (
                "ALTER TABLE observations ADD COLUMN terms TEXT[] NOT NULL DEFAULT '{}'",
                "CREATE INDEX observations_by_term ON observations USING gin (terms) WITH (fastupdate = off)",
            ),
        },
    ),
    Migration(
        15,
        "classes of events, of their windows, and of marks that correct them",
        (
            "ALTER TABLE events ADD COLUMN label VARCHAR NOT NULL DEFAULT ''",
            "ALTER TABLE event_windows ADD COLUMN label VARCHAR NOT NULL DEFAULT ''",
            "ALTER TABLE marks ADD COLUMN label VARCHAR NOT NULL DEFAULT ''",
            "CREATE INDEX events_by_label ON events (label, happened_utc, id) WHERE label <> ''",
            "CREATE INDEX marks_by_label ON marks (label)",
        ),
    ),
    Migration(
        16,
        "what the model itself said of the windows of events, before calibration",
        ("ALTER TABLE event_windows ADD COLUMN p_raw DOUBLE PRECISION",),
    ),
    Migration(
        17,
        "all answers about a window, from which rules go on after a restart",
        (
            "ALTER TABLE verdicts ADD COLUMN answers TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE verdicts ADD COLUMN rest INTEGER NOT NULL DEFAULT 0",
        ),
    ),
    Migration(
        18,
        "the usual views of cameras, and which of them were said to be right",
        (
            """CREATE TABLE camera_views (
                camera_id VARCHAR NOT NULL, number INTEGER NOT NULL, picture {BYTES} NOT NULL, visible {BYTES} NOT NULL,
                sharpness DOUBLE PRECISION NOT NULL, seen_s DOUBLE PRECISION NOT NULL, kept_utc VARCHAR NOT NULL,
                PRIMARY KEY (camera_id, number))""",
            "CREATE TABLE view_requests (camera_id VARCHAR NOT NULL PRIMARY KEY, asked_utc VARCHAR NOT NULL)",
        ),
    ),
    Migration(
        19,
        "the class of each verdict",
        ("ALTER TABLE verdicts ADD COLUMN label VARCHAR NOT NULL DEFAULT ''",),
    ),
)

NUMBERED = {"sqlite": "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "postgresql": "BIGSERIAL PRIMARY KEY"}
"""An increasing key that is never reused, in the SQL of each database; replaces `{NUMBERED}` in a step."""

BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}
"""The type of bytes in the SQL of each database; replaces `{BYTES}`."""

LOCK = 860_717_301
"""An arbitrary advisory lock key, so that two processes that open an empty PostgreSQL database migrate it in turn."""

NEWEST = MIGRATIONS[-1].number


def version_of(connection: Connection, *, where: str) -> int:
    """The number of the last step that a database has run, 0 if it is empty.

    Raises StoreError if it was written by a newer Vigil or belongs to another program.
    """
    tables = inspect(connection).get_table_names()
    if schema.migrations.name not in tables:
        if tables:
            raise StoreError(
                f"{where} is a database of something else (it has a table {tables[0]!r}); name another store"
            )
        return 0
    version = connection.execute(select(func.max(schema.migrations.c.number))).scalar() or 0
    if version > NEWEST:
        raise StoreError(
            f"{where} was written by a newer Vigil (its tables are at step {version}, this one knows {NEWEST}); "
            "update Vigil, or name another store"
        )
    return version


def migrate(connection: Connection, *, where: str) -> list[Migration]:
    """Runs the missing steps in the caller's transaction and returns them; raises StoreError like `version_of`."""
    if connection.dialect.name == "postgresql":
        wait_as_long_as_it_takes(connection)
        connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
    version = version_of(connection, where=where)
    steps = [step for step in MIGRATIONS if step.number > version]
    if steps:
        schema.migrations.create(connection, checkfirst=True)
    for step in steps:
        for statement in (*step.statements, *step.only.get(connection.dialect.name, ())):
            dialect = connection.dialect.name
            connection.exec_driver_sql(
                statement.replace("{NUMBERED}", NUMBERED[dialect]).replace("{BYTES}", BYTES[dialect])
            )
        if step.fill is not None:
            step.fill(connection)
        row = {"number": step.number, "name": step.name, "vigil_version": __version__, "applied_utc": utc_now()}
        connection.execute(schema.migrations.insert().values(row))
    return steps
