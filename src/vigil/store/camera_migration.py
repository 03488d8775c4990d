"""Fills the cameras table of an older store from the source identities and names of its sessions."""

import secrets
from collections import defaultdict
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from vigil.store.cameras import KEY, derived_id
from vigil.store.times import utc_now

WATCHES = """SELECT source, identity, epoch_s IS NOT NULL AS live, started_utc AS began FROM sessions ORDER BY id"""
OUTSIDE = "SELECT DISTINCT source FROM events WHERE session_id IS NULL ORDER BY source"


@dataclass(slots=True)
class Found:
    """A camera before it is inserted, with every name it had, oldest first."""

    identity: str
    names: list[str] = field(default_factory=list)
    created_utc: str = ""
    watched_utc: str = ""
    id: str = ""


def fill_cameras(connection: Connection) -> None:
    """Creates a camera for each identity and for each name without an identity, and sets `camera_id` of their rows."""
    key = secrets.token_hex(16)
    connection.execute(text("INSERT INTO settings (name, value) VALUES (:name, :value)"), {"name": KEY, "value": key})
    by_identity, by_name = _found(connection)
    taken: set[str] = set()
    # Several names may lead to the same camera.
    for each in {id(found): found for found in (*by_identity.values(), *by_name.values())}.values():
        each.id = derived_id(each.identity or f"name {each.names[-1]}", key, is_taken=taken.__contains__)
        taken.add(each.id)
        _insert(connection, each)
    _give_rows(connection, by_identity, by_name)


def _found(connection: Connection) -> tuple[dict[str, Found], dict[str, Found]]:
    """The cameras by identity, and by name those that own rows without an identity."""
    watches = connection.execute(text(WATCHES)).all()
    by_identity: dict[str, Found] = {}
    owners: dict[str, list[Found]] = defaultdict(list)
    for watch in watches:
        if watch.identity:
            found = by_identity.setdefault(watch.identity, Found(watch.identity))
            _note(found, watch.source, watch.began)
            if found not in owners[watch.source]:
                owners[watch.source].append(found)
    by_name: dict[str, Found] = {}
    for watch in watches:
        if not watch.identity:
            _note(_owner(watch.source, owners, by_name), watch.source, watch.began)
    for (source,) in connection.execute(text(OUTSIDE)):
        _note(_owner(source, owners, by_name), source, "")
    return by_identity, by_name


def _owner(name: str, owners: dict[str, list[Found]], by_name: dict[str, Found]) -> Found:
    """The camera of a row without an identity: the only camera that ever had its name, or else a new one."""
    if name not in by_name:
        by_name[name] = owners[name][0] if len(owners[name]) == 1 else Found("")
    return by_name[name]


def _note(found: Found, name: str, began_utc: str) -> None:
    if not found.names or began_utc >= found.watched_utc:
        found.names.append(name)
    if began_utc:
        found.created_utc = min(found.created_utc or began_utc, began_utc)
        found.watched_utc = max(found.watched_utc, began_utc)


def _insert(connection: Connection, found: Found) -> None:
    row = {
        "id": found.id,
        "name": found.names[-1],
        "identity": found.identity,
        "created_utc": found.created_utc or utc_now(),
        "watched_utc": found.watched_utc,
    }
    insert = """INSERT INTO cameras (id, name, source_name, identity, kind, address, place, created_utc, watched_utc)
        VALUES (:id, :name, :name, :identity, '', '', '', :created_utc, :watched_utc)"""
    connection.execute(text(insert), row)


def _give_rows(connection: Connection, by_identity: dict[str, Found], by_name: dict[str, Found]) -> None:
    for identity, found in by_identity.items():
        values = {"id": found.id, "identity": identity}
        connection.execute(text("UPDATE sessions SET camera_id = :id WHERE identity = :identity"), values)
    for name, found in by_name.items():
        values = {"id": found.id, "name": name}
        connection.execute(text("UPDATE sessions SET camera_id = :id WHERE identity = '' AND source = :name"), values)
        connection.execute(
            text("UPDATE events SET camera_id = :id WHERE session_id IS NULL AND source = :name"), values
        )
    for table in ("events", "verdicts"):
        own = f"(SELECT s.camera_id FROM sessions s WHERE s.id = {table}.session_id)"
        connection.execute(text(f"UPDATE {table} SET camera_id = {own} WHERE session_id IS NOT NULL"))
