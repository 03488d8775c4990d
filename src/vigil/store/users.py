"""The users table: who may sign in to the pages and the service, with which role. Passwords are argon2 hashes.

store.users.add("lena", Role.OPERATOR, password_hash=hashed)
"""

from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import func, select

from vigil.errors import UsageError
from vigil.store.database import Database
from vigil.store.schema import users
from vigil.store.times import utc_now

LONGEST_NAME = 80


class Role(StrEnum):
    """What a user or a key may do; each role includes those before it.

    A viewer looks and asks; an operator also marks and acknowledges events, and pauses cameras; an admin also adds,
    changes and removes cameras, and reads the audit table.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what another one may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """One user of a store."""

    name: str
    role: Role
    password_hash: str = field(repr=False)
    created_utc: str = ""


class UserTable:
    """The users of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, *, password_hash: str) -> StoredUser:
        """Adds a user; raises UsageError if the name is taken or not allowed."""
        name = checked_user_name(name)
        row = {"name": name, "role": role.value, "password_hash": password_hash, "created_utc": utc_now()}
        with self._database.writing(f"adding user {name}") as connection:
            if connection.execute(select(users.c.name).where(users.c.name == name)).scalar() is not None:
                raise UsageError(f"there is a user {name!r} already; remove it first, or choose another name")
            connection.execute(users.insert().values(row))
        return StoredUser(name=name, role=role, password_hash=password_hash, created_utc=row["created_utc"])

    def all(self) -> list[StoredUser]:
        """All users, by name."""
        with self._database.reading("reading users") as connection:
            rows = connection.execute(select(users).order_by(users.c.name))
            return [StoredUser(**dict(row._mapping) | {"role": Role(row.role)}) for row in rows]

    def count(self) -> int:
        """The number of users."""
        with self._database.reading("counting users") as connection:
            return connection.execute(select(func.count()).select_from(users)).scalar_one()

    def set_role(self, name: str, role: Role) -> None:
        """Gives a user another role; raises UsageError if there is none of this name."""
        self._update(name, role=role.value)

    def set_password(self, name: str, password_hash: str) -> None:
        """Gives a user another password, which ends its sessions; raises UsageError if there is none of this name."""
        self._update(name, password_hash=password_hash)

    def remove(self, name: str) -> None:
        """Removes a user; raises UsageError if there is none of this name."""
        with self._database.writing(f"removing user {name}") as connection:
            done = connection.execute(users.delete().where(users.c.name == name))
            _require(done.rowcount, name)

    def _update(self, name: str, **values: str) -> None:
        with self._database.writing(f"changing user {name}") as connection:
            done = connection.execute(users.update().where(users.c.name == name).values(**values))
            _require(done.rowcount, name)


def _require(count: int, name: str) -> None:
    if not count:
        raise UsageError(f"there is no user {name!r}; `vigil users list` shows those there are")


def checked_user_name(name: str) -> str:
    """A user's name without surrounding spaces; raises UsageError if it is not allowed."""
    name = name.strip()
    # A colon ends the name in HTTP Basic and in the users file.
    if not name or not name.isprintable() or ":" in name or len(name) > LONGEST_NAME:
        raise UsageError(f"a user's name has 1 to {LONGEST_NAME} characters, all of them printable, none of them :")
    return name
