"""Cameras: every source that a store has seen, each under an id that stays, whatever it is called.

    store.cameras.all()
    store.cameras.rename("door", "front door")      # its events go by the new name, the old ones too

A file that is watched is a camera too. Which row a source belongs to is told by its identity
(`vigil.sources.source_identity`); the name is a label for people, and two cameras may bear the same one.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from vigil.errors import UsageError
from vigil.store.schema import cameras, events, sessions, settings, verdicts
from vigil.store.times import utc_now

CAMERA_ID = re.compile(r"cam_[0-9a-f]{8}")
KEY = "camera key"
LONGEST_NAME = 80
IDS_AT_ONCE = 500


class Transactions(Protocol):
    """What a table needs of its store."""

    name: str

    def reading(self, action: str) -> AbstractContextManager[Connection]:
        """A transaction that reads."""

    def writing(self, action: str) -> AbstractContextManager[Connection]:
        """A transaction that writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """One camera as it is stored.

    `identity` tells it apart from others and holds no secret; it is empty where only the name is known. `address` is
    shown to people and holds no password. `source_name` is what the list of sources called it when it was last
    watched; `name` is the same until somebody renames it. `watched_utc` is when a watch of it last began.
    """

    id: str
    name: str
    identity: str = ""
    kind: str = ""
    address: str = ""
    place: str = ""
    source_name: str = ""
    created_utc: str = ""
    watched_utc: str = ""


def derived_id(identity: str, key: str, *, is_taken: Callable[[str], bool] = lambda _: False) -> str:
    """The id of a camera that is new: the same for the same identity and key, unless another camera has it.

    An address may hold a short token, and ids are told to everybody: without the key nobody can try out which address
    gives an id.
    """
    number = 0
    while True:
        text = f"{number} {identity}".encode(errors="surrogateescape")
        found = f"cam_{hashlib.blake2b(text, key=key.encode(), digest_size=4).hexdigest()}"
        if not is_taken(found):
            return found
        number += 1


class CameraTable:
    """The cameras of a store; each call is one transaction and raises StoreError when that fails."""

    def __init__(self, store: Transactions) -> None:
        self._store = store

    def id_of(self, identity: str, name: str) -> str:
        """The id of a source: its row's, or the one that it will get when it is first watched."""
        with self._store.reading("looking for a camera") as connection:
            return id_of(connection, identity, name)

    def all(self) -> list[CameraRecord]:
        """All of them, by name."""
        with self._store.reading("reading cameras") as connection:
            rows = connection.execute(select(cameras).order_by(cameras.c.name, cameras.c.id))
            return [_record(row) for row in rows]

    def find(self, word: str) -> CameraRecord:
        """The camera of an id or a name; raises UsageError when there is none, or more than one."""
        with self._store.reading("looking for a camera") as connection:
            return _find(connection, word, where=self._store.name)

    def count_events(self) -> dict[str, int]:
        """How many events each camera has, by id; those without any are left out."""
        query = select(events.c.camera_id, func.count()).group_by(events.c.camera_id)
        with self._store.reading("counting events") as connection:
            return {row.camera_id: int(row[1]) for row in connection.execute(query)}

    def names(self) -> dict[str, set[str]]:
        """The identities that each name was given to, now or in the list of sources."""
        found: dict[str, set[str]] = {}
        with self._store.reading("reading names") as connection:
            for row in connection.execute(select(cameras).where(cameras.c.identity != "")):
                for name in {row.name, row.source_name} - {""}:
                    found.setdefault(name, set()).add(row.identity)
        return found

    def renamed(self) -> dict[tuple[str, str], str]:
        """The names that people gave, by identity and the name in the list of sources."""
        query = select(cameras).where(cameras.c.name != cameras.c.source_name, cameras.c.identity != "")
        with self._store.reading("reading names") as connection:
            return {(row.identity, row.source_name): row.name for row in connection.execute(query)}

    def register(self, camera: CameraRecord) -> CameraRecord:
        """Writes that a source is watched now, as far as that is news; returns its row."""
        with self._store.writing(f"noting camera {camera.name}") as connection:
            return register(connection, camera)

    def rename(self, word: str, name: str) -> CameraRecord:
        """Gives a camera, by id or name, another name; raises UsageError when another camera has it."""
        name = checked_name(name)
        with self._store.writing("renaming a camera") as connection:
            camera = _find(connection, word, where=self._store.name)
            others = select(cameras.c.id).where(cameras.c.name == name, cameras.c.id != camera.id)
            if (other := connection.execute(others).scalar()) is not None:
                raise UsageError(f"{other} is called {name!r} already; choose another name, or rename that one first")
            _update(connection, camera.id, name=name)
            return _find(connection, camera.id, where=self._store.name)

    def move(self, word: str, moved: CameraRecord) -> CameraRecord:
        """Has a camera, by id or name, be at another address from now on: `moved` tells identity, kind and address.

        What was found at that address before, as another camera, is this one's from now on. Raises UsageError when
        there is no such camera.
        """
        with self._store.writing("moving a camera") as connection:
            camera = _find(connection, word, where=self._store.name)
            there = [row.id for row in _of_identity(connection, moved.identity) if row.id != camera.id]
            for other in there:
                _merge(connection, other, into=camera.id)
            _update(connection, camera.id, identity=moved.identity, kind=moved.kind, address=moved.address)
            return _find(connection, camera.id, where=self._store.name)


def checked_name(name: str) -> str:
    """A name as people may give one; raises UsageError."""
    name = name.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"a camera's name has 1 to {LONGEST_NAME} characters, all of them printable")
    if CAMERA_ID.fullmatch(name):
        raise UsageError(f"{name!r} looks like the id of a camera; choose another name")
    return name


def id_of(connection: Connection, identity: str, name: str) -> str:
    """As `CameraTable.id_of`, in the caller's transaction."""
    row = _known(connection, identity, name)
    if row is not None:
        return str(row.id)
    key = connection.execute(select(settings.c.value).where(settings.c.name == KEY)).scalar_one()
    return derived_id(identity or f"name {name}", key, is_taken=lambda each: _by_id(connection, each) is not None)


def fingerprint(connection: Connection) -> str:
    """What tells a store from others: it follows from its key, and tells nothing of that."""
    key = connection.execute(select(settings.c.value).where(settings.c.name == KEY)).scalar_one()
    return hashlib.blake2b(b"store", key=str(key).encode(), digest_size=4).hexdigest()


def register(connection: Connection, camera: CameraRecord) -> CameraRecord:
    """As `CameraTable.register`, in the caller's transaction.

    A name in the list of sources that is not the one of last time is the camera's name from now on; else the name that
    somebody gave it meanwhile stays.
    """
    now = utc_now()
    row = _by_id(connection, camera.id) if camera.id else _known(connection, camera.identity, camera.name)
    if row is None:
        new = {
            "id": camera.id or id_of(connection, camera.identity, camera.name),
            "name": camera.name,
            "source_name": camera.name,
            "identity": camera.identity,
            "kind": camera.kind,
            "address": camera.address,
            "place": camera.place,
            "created_utc": now,
            "watched_utc": now,
        }
        connection.execute(cameras.insert().values(new))
        return CameraRecord(**new)
    stays = camera.name in (row.source_name, row.name)
    names = {} if stays else {"name": camera.name, "source_name": camera.name}
    told = {"identity": camera.identity, "kind": camera.kind, "address": camera.address}
    news = names | {column: value for column, value in told.items() if value}
    _update(connection, row.id, **news, watched_utc=now)
    found = _by_id(connection, row.id)
    assert found is not None
    return _record(found)


def names_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The names of cameras by their ids."""
    found: dict[str, str] = {}
    for i in range(0, len(ids), IDS_AT_ONCE):
        query = select(cameras.c.id, cameras.c.name).where(cameras.c.id.in_(ids[i : i + IDS_AT_ONCE]))
        found |= {row.id: row.name for row in connection.execute(query)}
    return found


def is_of(word: str, camera_id: ColumnElement[str], source: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row with these columns is of the camera of an id or of a name."""
    if CAMERA_ID.fullmatch(word):
        return camera_id == word
    named = select(cameras.c.id).where(cameras.c.name == word)
    return or_(camera_id.in_(named), and_(source == word, is_unknown(camera_id)))


def is_unknown(camera_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row has no camera, so that only the name it was stored under tells whose it is."""
    return or_(camera_id == "", camera_id.not_in(select(cameras.c.id)))


def has_name_like(text: str, camera_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the name of a row's camera holds a text."""
    return camera_id.in_(select(cameras.c.id).where(cameras.c.name.icontains(text, autoescape=True)))


def _known(connection: Connection, identity: str, name: str) -> Row[*tuple[object, ...]] | None:
    """The row of a source: by its identity; else the one of this name whose identity nobody knows yet."""
    found = _of_identity(connection, identity) if identity else []
    if found:
        return found[0]
    named = select(cameras).where(or_(cameras.c.name == name, cameras.c.source_name == name))
    rows = connection.execute(named.order_by(cameras.c.created_utc, cameras.c.id)).all()
    unknown = [row for row in rows if not row.identity]
    if unknown or identity:
        return next(iter(unknown), None)
    # Who gives no identity means the camera of that name, if there is only one.
    return rows[0] if len(rows) == 1 else None


def _of_identity(connection: Connection, identity: str) -> "Sequence[Row[*tuple[object, ...]]]":
    query = select(cameras).where(cameras.c.identity == identity).order_by(cameras.c.created_utc, cameras.c.id)
    return connection.execute(query).all()


def _by_id(connection: Connection, camera_id: str) -> Row[*tuple[object, ...]] | None:
    return connection.execute(select(cameras).where(cameras.c.id == camera_id)).one_or_none()


def _find(connection: Connection, word: str, *, where: str) -> CameraRecord:
    exact = _by_id(connection, word) if CAMERA_ID.fullmatch(word) else None
    found = [exact] if exact is not None else connection.execute(select(cameras).where(cameras.c.name == word)).all()
    if not found:
        raise UsageError(f"{where} has no camera {word!r}; `vigil cameras list` shows those it has")
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise UsageError(f"{len(found)} cameras are called {word!r}; give an id: {ids}")
    return _record(found[0])


def _update(connection: Connection, camera_id: str, **values: str) -> None:
    connection.execute(cameras.update().where(cameras.c.id == camera_id).values(**values))


def _merge(connection: Connection, other: str, *, into: str) -> None:
    for table in (sessions, verdicts, events):
        connection.execute(table.update().where(table.c.camera_id == other).values(camera_id=into))
    connection.execute(cameras.delete().where(cameras.c.id == other))


def _record(row: Row[*tuple[object, ...]]) -> CameraRecord:
    return CameraRecord(**row._mapping)
