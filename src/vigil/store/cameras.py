"""The cameras table: every source a store has seen, each with an id that does not change when it is renamed.

    store.cameras.all()
    store.cameras.rename("door", "front door")      # also changes the name shown for its past events

A watched file is a camera too. A source is matched to its row by its identity (`vigil.sources.source_identity`); the
name is only a label, and two cameras may share one.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from vigil.errors import UsageError
from vigil.masks import Mask, masks_from_text, masks_to_text
from vigil.store.camera_views import forget_views
from vigil.store.database import Database
from vigil.store.rows_of import rows_of
from vigil.store.schema import cameras, events, missed_spans, observations, sessions, settings, verdicts
from vigil.store.times import utc_now

CAMERA_ID = re.compile(r"cam_[0-9a-f]{8}")
KEY = "camera key"
LONGEST_NAME = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraRecord:
    """One row of the cameras table.

    `identity` distinguishes the source from others and contains no secret; it is empty if only the name is known.
    `address` is for display and contains no password. `source_name` is its name in the list of sources when it was last
    watched; `name` equals it until a user renames the camera. `watched_utc` is the start of its newest session.
    `masks` and `rules` (JSON, `vigil.rules.camera_rules`) are None for a source whose address says nothing of them.
    `source_masks`, `source_rules` (JSON) and `source_place` are what the list of sources said last: users may change
    them until it says something else.
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
    masks: tuple[Mask, ...] | None = None
    source_masks: str = field(default="", repr=False)
    source_place: str = field(default="", repr=False)
    rules: str | None = None
    source_rules: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """What holds for a camera now; `rules` is JSON, empty if nobody has said anything of them."""

    masks: tuple[Mask, ...] = ()
    place: str = ""
    rules: str = ""


def derived_id(identity: str, key: str, *, is_taken: Callable[[str], bool] = lambda _: False) -> str:
    """The id of a new camera, derived from its identity and the store's key; another one if that is taken.

    An address may contain a short token, and ids are public. Without the key, nobody can test which address yields an
    id.
    """
    number = 0
    while True:
        text = f"{number} {identity}".encode(errors="surrogateescape")
        found = f"cam_{hashlib.blake2b(text, key=key.encode(), digest_size=4).hexdigest()}"
        if not is_taken(found):
            return found
        number += 1


class CameraTable:
    """The cameras of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def id_of(self, identity: str, name: str) -> str:
        """The id of a source: that of its row, or the one it will get when it is first watched."""
        with self._database.reading("looking for a camera") as connection:
            return id_of(connection, identity, name)

    def all(self) -> list[CameraRecord]:
        """All cameras, sorted by name."""
        with self._database.reading("reading cameras") as connection:
            rows = connection.execute(select(cameras).order_by(cameras.c.name, cameras.c.id))
            return [_record(row) for row in rows]

    def find(self, word: str) -> CameraRecord:
        """The camera with this id or name; raises UsageError if there is none or more than one."""
        with self._database.reading("looking for a camera") as connection:
            return _find(connection, word, where=self._database.name)

    def with_id(self, camera_id: str) -> CameraRecord | None:
        """The camera with this id; None if there is none."""
        with self._database.reading("looking for a camera") as connection:
            row = _by_id(connection, camera_id)
        return None if row is None else _record(row)

    def fingerprint(self) -> str:
        """8 hex digits that identify this store, always the same; derived from its key, which they do not reveal."""
        with self._database.reading("reading settings") as connection:
            return hashlib.blake2b(b"store", key=_key(connection).encode(), digest_size=4).hexdigest()

    def count_events(self) -> dict[str, int]:
        """The number of events of each camera, by id; cameras without events are left out."""
        query = select(events.c.camera_id, func.count()).group_by(events.c.camera_id)
        with self._database.reading("counting events") as connection:
            return {row.camera_id: int(row[1]) for row in connection.execute(query)}

    def names(self) -> dict[str, set[str]]:
        """The identities of each name that is in use, as a camera's name or as its name in the list of sources."""
        found: dict[str, set[str]] = {}
        with self._database.reading("reading names") as connection:
            for row in connection.execute(select(cameras).where(cameras.c.identity != "")):
                for name in {row.name, row.source_name} - {""}:
                    found.setdefault(name, set()).add(row.identity)
        return found

    def renamed(self) -> dict[tuple[str, str], str]:
        """The names that users gave, by identity and name in the list of sources."""
        query = select(cameras).where(cameras.c.name != cameras.c.source_name, cameras.c.identity != "")
        with self._database.reading("reading names") as connection:
            return {(row.identity, row.source_name): row.name for row in connection.execute(query)}

    def register(self, camera: CameraRecord) -> CameraRecord:
        """Records that a source is being watched, inserting or updating its row; returns the row."""
        with self._database.writing(f"noting camera {camera.name}") as connection:
            return register(connection, camera)

    def rename(self, word: str, name: str) -> CameraRecord:
        """Renames a camera, given by id or name; raises UsageError if another camera has that name."""
        name = checked_name(name)
        with self._database.writing("renaming a camera") as connection:
            camera = _find(connection, word, where=self._database.name)
            others = select(cameras.c.id).where(cameras.c.name == name, cameras.c.id != camera.id)
            if (other := connection.execute(others).scalar()) is not None:
                raise UsageError(f"{other} is called {name!r} already; choose another name, or rename that one first")
            _update(connection, camera.id, name=name)
            return _find(connection, camera.id, where=self._database.name)

    def set_place(self, word: str, place: str) -> CameraRecord:
        """Sets where a camera, given by id or name, is; empty text removes it. Raises UsageError."""
        place = place.strip()
        if not place.isprintable() or len(place) > LONGEST_NAME:
            raise UsageError(f"a camera's place has at most {LONGEST_NAME} characters, all of them printable")
        with self._database.writing("placing a camera") as connection:
            camera = _find(connection, word, where=self._database.name)
            _update(connection, camera.id, place=place)
            return _find(connection, camera.id, where=self._database.name)

    def settings_of(self, camera: CameraRecord) -> CameraSettings:
        """What holds for a source: what its address says (`camera`) if that is new, else what its row has."""
        with self._database.reading("reading the masks and rules of a camera") as connection:
            row = _known(connection, camera.identity, camera.name)
        place = camera.place if row is None else _news_of_place(row, camera.place).get("place", str(row.place))
        masks = masks_from_text(_settled_masks(row, camera.masks))
        return CameraSettings(masks=masks, place=place, rules=_settled_rules(row, camera.rules))

    def set_rules(self, word: str, rules: str) -> CameraRecord:
        """Sets the rules (JSON) of a camera, given by id or name; raises UsageError if there is no such camera."""
        with self._database.writing("setting the rules of a camera") as connection:
            camera = _find(connection, word, where=self._database.name)
            _update(connection, camera.id, rules=rules)
            return _find(connection, camera.id, where=self._database.name)

    def set_masks(self, word: str, masks: Sequence[Mask]) -> CameraRecord:
        """Sets the masks of a camera, given by id or name; raises UsageError."""
        text = masks_to_text(masks)
        with self._database.writing("masking a camera") as connection:
            camera = _find(connection, word, where=self._database.name)
            _update(connection, camera.id, masks=text)
            return _find(connection, camera.id, where=self._database.name)

    def move(self, word: str, moved: CameraRecord) -> CameraRecord:
        """Gives a camera, by id or name, the identity, kind and address of `moved`.

        A camera that was already stored with that identity is merged into it. Raises UsageError if there is no such
        camera.
        """
        with self._database.writing("moving a camera") as connection:
            camera = _find(connection, word, where=self._database.name)
            there = [row for row in _of_identity(connection, moved.identity) if row.id != camera.id]
            # What was hidden at that address stays hidden.
            masks = [*(camera.masks or ()), *(mask for row in there for mask in masks_from_text(str(row.masks)))]
            for other in there:
                _merge(connection, str(other.id), into=camera.id)
            place = {"identity": moved.identity, "kind": moved.kind, "address": moved.address}
            _update(connection, camera.id, **place, masks=masks_to_text(dict.fromkeys(masks)))
            return _find(connection, camera.id, where=self._database.name)


def checked_name(name: str) -> str:
    """A camera name without surrounding spaces; raises UsageError if it is not allowed."""
    name = name.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UsageError(f"a camera's name has 1 to {LONGEST_NAME} characters, all of them printable")
    if CAMERA_ID.fullmatch(name):
        raise UsageError(f"{name!r} looks like the id of a camera; choose another name")
    return name


def id_of(connection: Connection, identity: str, name: str) -> str:
    """Same as `CameraTable.id_of`, in the caller's transaction."""
    row = _known(connection, identity, name)
    if row is not None:
        return str(row.id)
    return derived_id(
        identity or f"name {name}", _key(connection), is_taken=lambda each: _by_id(connection, each) is not None
    )


def _key(connection: Connection) -> str:
    return str(connection.execute(select(settings.c.value).where(settings.c.name == KEY)).scalar_one())


def register(connection: Connection, camera: CameraRecord) -> CameraRecord:
    """Same as `CameraTable.register`, in the caller's transaction.

    If the name in the list of sources has changed since the last session, it becomes the camera's name; otherwise a
    name that a user gave stays. The same is true of place, masks and rules, if the list of sources says them.
    """
    now = utc_now()
    said_masks = "" if camera.masks is None else masks_to_text(camera.masks)
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
            "masks": said_masks,
            "source_masks": said_masks,
            "source_place": camera.place,
            "rules": camera.rules or "",
            "source_rules": camera.rules or "",
        }
        connection.execute(cameras.insert().values(new))
        row = _by_id(connection, new["id"])
        assert row is not None
        return _record(row)
    stays = camera.name in (row.source_name, row.name)
    names = {} if stays else {"name": camera.name, "source_name": camera.name}
    told = {"identity": camera.identity, "kind": camera.kind, "address": camera.address}
    news = names | _news_of_place(row, camera.place)
    if said_masks:
        news |= {"masks": _settled_masks(row, camera.masks), "source_masks": said_masks}
    if camera.rules:
        news |= {"rules": _settled_rules(row, camera.rules), "source_rules": camera.rules}
    news |= {column: value for column, value in told.items() if value}
    _update(connection, row.id, **news, watched_utc=now)
    found = _by_id(connection, row.id)
    assert found is not None
    return _record(found)


def _news_of_place(row: Row[*tuple[object, ...]], said: str) -> dict[str, str]:
    return {"place": said, "source_place": said} if said and said != row.source_place else {}


def _settled_masks(row: Row[*tuple[object, ...]] | None, said: Sequence[Mask] | None) -> str:
    """The masks in force as JSON: those of the list of sources if it says other ones than last time."""
    if said is not None and (row is None or masks_to_text(said) != row.source_masks):
        return masks_to_text(said)
    return "" if row is None else str(row.masks)


def _settled_rules(row: Row[*tuple[object, ...]] | None, said: str | None) -> str:
    """The rules in force as JSON: those of the list of sources if it says other ones than last time."""
    if said and (row is None or said != row.source_rules):
        return said
    return "" if row is None else str(row.rules)


def names_and_places(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Name and place of cameras, by id."""
    rows = rows_of(connection, (cameras.c.id, cameras.c.name, cameras.c.place), cameras.c.id, ids)
    return {row.id: (row.name, row.place) for row in rows}


def is_of(word: str, camera_id: ColumnElement[str], source: ColumnElement[str]) -> ColumnElement[bool]:
    """A condition: a row with these columns belongs to the camera with this id or name."""
    if CAMERA_ID.fullmatch(word):
        return camera_id == word
    named = select(cameras.c.id).where(cameras.c.name == word)
    return or_(camera_id.in_(named), and_(source == word, is_unknown(camera_id)))


def is_unknown(camera_id: ColumnElement[str]) -> ColumnElement[bool]:
    """A condition: a row has no camera, so that only the name it was stored with is known."""
    return or_(camera_id == "", camera_id.not_in(select(cameras.c.id)))


def _known(connection: Connection, identity: str, name: str) -> Row[*tuple[object, ...]] | None:
    """The row of a source: by identity, or else the row of this name whose identity is not known yet."""
    found = _of_identity(connection, identity) if identity else []
    if found:
        return found[0]
    named = select(cameras).where(or_(cameras.c.name == name, cameras.c.source_name == name))
    rows = connection.execute(named.order_by(cameras.c.created_utc, cameras.c.id)).all()
    unknown = [row for row in rows if not row.identity]
    if unknown or identity:
        return next(iter(unknown), None)
    # Without an identity, the camera of that name is meant, if there is only one.
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
    for table in (sessions, verdicts, events, missed_spans, observations):
        connection.execute(table.update().where(table.c.camera_id == other).values(camera_id=into))
    forget_views(connection, other)
    connection.execute(cameras.delete().where(cameras.c.id == other))


def _record(row: Row[*tuple[object, ...]]) -> CameraRecord:
    return CameraRecord(**{**row._mapping, "masks": masks_from_text(str(row.masks))})
