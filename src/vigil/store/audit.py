"""The audit table: every act of a user or a key that others see, with when and from where. Rows are only added.

store.audit.add("mark an event", who="lena", address="10.0.0.9", details={"event": event.id, "mark": "true"})
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from vigil.store.database import Database
from vigil.store.schema import audit
from vigil.store.times import utc_now

AT_ONCE = 100


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

    def newest(self, *, before: int | None = None, limit: int = AT_ONCE) -> list[AuditEntry]:
        """The newest acts, latest first; with `before`, those with a lower number."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        with self._database.reading("reading the audit table") as connection:
            rows = connection.execute(query)
            return [AuditEntry(**dict(row._mapping) | {"details": json.loads(row.details)}) for row in rows]
