"""The table of API keys, by which programs use the service instead of a password.

    made = store.api_keys.add("dashboard", Role.VIEWER, scopes=("events", "live"))
    print(made.secret)                      # shown once: only its digest is stored
    store.api_keys.find(secret)             # None if it is unknown, revoked or expired

A key is 256 random bits, so a SHA-256 digest is as good as it gets: there is nothing to guess that a slow hash would
make slower, and a fast one keeps a request fast.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select

from vigil.errors import UsageError
from vigil.store.database import Database
from vigil.store.schema import api_keys
from vigil.store.times import utc_now
from vigil.store.users import LONGEST_NAME, Role

PREFIX = "vigil_"
SECRET_BYTES = 32
LONGEST_SECRET = 200

SCOPES = ("cameras", "events", "judge", "live", "metrics", "audit")
"""The parts of the service that a key can be limited to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key; empty `scopes` are all of them, an empty time is never. `secret` is known only when it is made."""

    id: str
    name: str
    role: Role
    scopes: tuple[str, ...] = ()
    created_utc: str = ""
    expires_utc: str = ""
    revoked_utc: str = ""
    secret: str = field(default="", repr=False)

    def state(self, now_utc: str) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_utc:
            return "revoked"
        return "expired" if self.expires_utc and self.expires_utc <= now_utc else "valid"


class ApiKeyTable:
    """The keys of a store; each call is one transaction and raises StoreError if it fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, *, scopes: Sequence[str] = (), expires_utc: str = "") -> ApiKey:
        """Makes a key and returns it with its secret, which is not stored; raises UsageError."""
        name = name.strip()
        if not name or not name.isprintable() or len(name) > LONGEST_NAME:
            raise UsageError(f"a key's name has 1 to {LONGEST_NAME} characters, all of them printable")
        unknown = [scope for scope in scopes if scope not in SCOPES]
        if unknown:
            raise UsageError(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        made = ApiKey(
            id=f"key_{secrets.token_hex(4)}",
            name=name,
            role=role,
            scopes=tuple(dict.fromkeys(scopes)),
            created_utc=utc_now(),
            expires_utc=expires_utc,
            secret=secret,
        )
        with self._database.writing(f"adding key {name}") as connection:
            connection.execute(api_keys.insert().values(_row(made) | {"digest": digest_of(secret)}))
        return made

    def all(self) -> list[ApiKey]:
        """All keys, by the time they were made."""
        with self._database.reading("reading keys") as connection:
            return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_utc))]

    def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, whether valid, expired or revoked (`ApiKey.state`); None if there is none."""
        if not secret.startswith(PREFIX) or len(secret) > LONGEST_SECRET:
            return None
        with self._database.reading("looking for a key") as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.digest == digest_of(secret))).first()
        return None if row is None else _key(row)

    def revoke(self, key_id: str) -> ApiKey:
        """Revokes a key for good; raises UsageError if there is none of this id."""
        with self._database.writing(f"revoking key {key_id}") as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).first()
            if row is None:
                raise UsageError(f"there is no key {key_id!r}; `vigil keys list` shows those there are")
            now = row.revoked_utc or utc_now()
            connection.execute(api_keys.update().where(api_keys.c.id == key_id).values(revoked_utc=now))
            return _key(connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one())


def digest_of(secret: str) -> str:
    """The digest by which a key is stored and found."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _row(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        "scopes": " ".join(key.scopes),
        "created_utc": key.created_utc,
        "expires_utc": key.expires_utc,
        "revoked_utc": key.revoked_utc,
    }


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        scopes=tuple(row.scopes.split()),
        created_utc=row.created_utc,
        expires_utc=row.expires_utc,
        revoked_utc=row.revoked_utc,
    )
