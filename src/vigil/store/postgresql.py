"""How a PostgreSQL server is connected to, with limits on every wait; and what its errors mean for a user.

    Store.open("postgresql+psycopg://vigil@db/vigil", folder=media, timeouts=DatabaseTimeouts(statement_s=120))

A setting in the URL's own `options` or parameters wins over these, as does one of the role or the server for what is
not set here.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, text

from vigil.errors import UsageError

PROBE_IDLE_S = 10
PROBE_EVERY_S = 5
PROBES = 3
"""A server whose machine is gone answers nothing: after `PROBES` silent probes the connection counts as broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTimeouts:
    """How long a store waits for its database before an error; raises UsageError for a time that is not positive.

    `lock_s`, how long a write waits for another transaction, also holds for SQLite, by default 10 s.
    """

    connect_s: float = 5.0
    statement_s: float = 60.0
    lock_s: float | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be more than 0 seconds, not {value:g}")


def connect_args(url: URL, timeouts: DatabaseTimeouts, *, lock_s: float) -> dict[str, Any]:
    """The driver's arguments: limits on connecting, on statements, on locks, and on a server that has gone silent."""
    limits = {
        "statement_timeout": timeouts.statement_s,
        "lock_timeout": lock_s,
        # A process that was stopped in a transaction would hold its locks for ever.
        "idle_in_transaction_session_timeout": 2 * timeouts.statement_s,
    }
    ours = " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in limits.items())
    theirs = url.query.get("options", "")
    arguments = {
        "connect_timeout": max(1, round(timeouts.connect_s)),
        "keepalives_idle": PROBE_IDLE_S,
        "keepalives_interval": PROBE_EVERY_S,
        "keepalives_count": PROBES,
        "tcp_user_timeout": 1000 * (PROBE_IDLE_S + PROBES * PROBE_EVERY_S),
    }
    chosen = {name: value for name, value in arguments.items() if name not in url.query}
    # Of two settings of one name the last counts.
    return chosen | {"options": f"{ours} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()}


def wait_as_long_as_it_takes(connection: Connection) -> None:
    """Lifts the limits for the rest of a transaction: a migration of a large store takes minutes, and others wait."""
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(text(f"SET LOCAL {name} = 0"))


AWAY = "the PostgreSQL server is away; check that it runs and the address; what waits is written when it is back"

REFUSED = (
    "the PostgreSQL server refuses this connection; check the user and the database in the URL (createdb makes one), "
    "and the password in ~/.pgpass"
)

COMES_BACK = ("starting up", "shutting down", "recovery mode")

REMEDIES = {
    "08": AWAY,
    "28": "the PostgreSQL server does not let this user in; check USER in the URL and the password in ~/.pgpass",
    "3D": "there is no such database on the server; make it (createdb) or name another",
    "42501": "this user may not do that; it must own the database, or be granted its tables",
    "25006": "the server takes no writes (a standby?); name the one that does",
    "40": "two transactions collided; it may be tried again",
    "53100": "the disk of the PostgreSQL server is full; free some space, what is written later will be kept",
    "53300": "the PostgreSQL server has no connection free; raise its max_connections, or end other programs",
    "53": "the PostgreSQL server is short of memory or disk; see its log",
    "55P03": "another program holds it locked; end that one, or raise the lock timeout",
    "57014": "it took longer than the statement timeout; raise that, or see what keeps the server busy",
    "57": AWAY,
    "58": "the disk of the PostgreSQL server does not read or write; see its log",
    "XX001": "the database is damaged; see the server's log",
    "XX002": "the database is damaged; see the server's log",
}
"""By SQLSTATE or its beginning: what a user can do."""


def remedy_of(error: BaseException) -> str:
    """What to do about an error of PostgreSQL's driver; empty if it is none, or says nothing that helps."""
    if not type(error).__module__.startswith("psycopg"):
        return ""
    state = getattr(error, "sqlstate", None) or ""
    if not state:
        return _remedy_of_connecting(str(error)) if type(error).__name__ == "OperationalError" else ""
    return REMEDIES.get(state) or REMEDIES.get(state[:2], "")


def _remedy_of_connecting(message: str) -> str:
    # The driver gives no SQLSTATE for what a server says before the connection is made.
    answered = "FATAL" in message and not any(words in message for words in COMES_BACK)
    return REFUSED if answered else AWAY
