"""The audit table: every act of a user or a key that others see, with when and from where. Rows are only added.

store.audit.add("mark an event", who="lena", address="10.0.0.9", details={"event": event.id, "mark": "true"})
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from vigil.store.database import Database
from vigil.store.schema import audit
from vigil.store.times import utc_now

AT_ONCE = 100
DELETED_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act; `number` increases with every act."""

    number: int
    at_utc: str
    who: str
    address: str
    act: str
    details: Mapping[str, str]


class AuditTable:
    """The audit table of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, act: str, *, who: str, address: str = "", details: Mapping[str, str] | None = None) -> None:
        """Adds an act; durable on return."""
        row = {"at_utc": utc_now(), "who": who, "address": address, "act": act}
        row["details"] = json.dumps(dict(details or {}), ensure_ascii=False)
        with self._database.writing("writing the audit table") as connection:
            connection.execute(audit.insert().values(row))

    def prune(self, *, before_utc: str | None, most_rows: int | None, dry_run: bool = False) -> int:
        """Deletes acts older than a time, and the oldest beyond so many, in steps; returns how many that are."""
        with self._database.reading("reading the audit table") as connection:
            upto = max(_last_before(connection, before_utc), _last_beyond(connection, most_rows))
            count = select(func.count()).select_from(audit).where(audit.c.number <= upto)
            found = int(connection.execute(count).scalar_one())
        some = select(audit.c.number).where(audit.c.number <= upto).order_by(audit.c.number).limit(DELETED_AT_ONCE)
        left = 0 if dry_run else found
        while left > 0:
            with self._database.writing("deleting old acts") as connection:
                connection.execute(delete(audit).where(audit.c.number.in_(some)))
            left -= DELETED_AT_ONCE
        return found

    def newest(self, *, before: int | None = None, limit: int = AT_ONCE) -> list[AuditEntry]:
        """The newest acts, latest first; with `before`, those with a lower number."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        with self._database.reading("reading the audit table") as connection:
            rows = connection.execute(query)
            return [AuditEntry(**dict(row._mapping) | {"details": json.loads(row.details)}) for row in rows]


def _last_before(connection: Connection, before_utc: str | None) -> int:
    """The number of the last act before a time; 0 if there is none."""
    if before_utc is None:
        return 0
    return int(connection.execute(select(func.max(audit.c.number)).where(audit.c.at_utc < before_utc)).scalar() or 0)


def _last_beyond(connection: Connection, most_rows: int | None) -> int:
    """The number of the newest act that is one too many; 0 if there is none."""
    if most_rows is None:
        return 0
    beyond = select(audit.c.number).order_by(audit.c.number.desc()).offset(most_rows).limit(1)
    return int(connection.execute(beyond).scalar() or 0)
