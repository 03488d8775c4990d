"""Users and their passwords: argon2 hashes in a file, or in `$VIGIL_WEB_AUTH`.

A line is `name:hash`, or `name:password` until `web.py --auth FILE --hash-passwords` replaces it. Passwords are never
taken from the command line, which every user of the machine can read in `ps`.
"""

import hmac
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from vigil.errors import UsageError
from vigil.files import explain_os_error, write_atomically
from vigil.store.users import Role

log = logging.getLogger(__name__)

AUTH_VARIABLE = "VIGIL_WEB_AUTH"
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
HASH_PREFIX = "$argon2"
READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_hasher = PasswordHasher()


@dataclass(frozen=True, slots=True)
class Users:
    """User names with argon2 hashes of their passwords; `viewers` may look and ask, but not change anything."""

    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    viewers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, passwords: Mapping[str, str], viewers: frozenset[str] = frozenset()) -> "Users":
        """Builds users from plain passwords."""
        return cls({name: _hashed(password) for name, password in passwords.items()}, viewers)

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def may_change(self, name: str | None, *, role: Role = Role.OPERATOR) -> bool:
        """Whether this user may change what others see; without users, everyone may."""
        held = None if name is None else self.role_of(name)
        return not self.hashes or (held is not None and held.includes(role))

    def hash_of(self, name: str) -> str | None:
        """The hash of a user's password; None if there is no such user."""
        return self.hashes.get(name)

    def role_of(self, name: str) -> Role | None:
        """The role of a user: viewer if named so, else admin; None if there is no such user."""
        if name not in self.hashes:
            return None
        return Role.VIEWER if name in self.viewers else Role.ADMIN


class UserDirectory(Protocol):
    """Where users are looked up: the file's (`Users`), or those of file and store (`app.accounts.Accounts`)."""

    def __bool__(self) -> bool:
        """Whether there are any users."""

    def hash_of(self, name: str) -> str | None:
        """The hash of a user's password; None if there is no such user."""

    def role_of(self, name: str) -> Role | None:
        """The role of a user; None if there is no such user."""

    def may_change(self, name: str | None, *, role: Role = Role.OPERATOR) -> bool:
        """Whether this user may change what others see; without users, everyone may."""


class PasswordCheck:
    """Checks passwords. A check takes 64 MiB and about 50 ms, for unknown users too.

    A password that was right is remembered by a keyed digest: scripts send it with every request, and would pay the
    cost each time.
    """

    def __init__(self, users: UserDirectory) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}

    def is_right(self, name: str, password: str) -> bool:
        """Whether the password is right; takes equally long if the user does not exist."""
        hashed = self._users.hash_of(name)
        # With the hash, so that an old password is forgotten once there is a new one.
        told = f"{name}\0{hashed}\0{password}".encode(errors="surrogatepass")
        digest = hmac.digest(self._key, told, sha256)
        if hashed is not None and hmac.compare_digest(self._known.get(name, b""), digest):
            return True
        matches = _matches(hashed or _nobodys_hash(), password[:LONGEST_PASSWORD])
        if hashed is None or not matches or len(password) > LONGEST_PASSWORD:
            return False
        self._known[name] = digest
        return True


@cache
def _nobodys_hash() -> str:
    """The hash that is checked for users who do not exist."""
    return _hashed(secrets.token_urlsafe(16))


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password.encode(errors="surrogatepass"))
    except (Argon2Error, InvalidHashError):
        return False


def _hashed(password: str) -> str:
    return _hasher.hash(password.encode(errors="surrogatepass"))


def read_users(auth: str | None, *, viewers: frozenset[str] = frozenset()) -> Users:
    """Reads users from a file, or else from `$VIGIL_WEB_AUTH`; empty if neither is set. Raises UsageError."""
    if auth is None:
        return _users(os.environ.get(AUTH_VARIABLE, ""), f"${AUTH_VARIABLE}", viewers)
    path = _auth_file(auth)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & READABLE_BY_OTHERS:
        log.warning("--auth: %s can be read by others (mode %04o); run: chmod 600 %s", path, mode, path)
    text = _read(path)
    users = _users(text, str(path), viewers)
    if not users:
        raise UsageError(f"--auth: {path} holds no name:password")
    if any(not secret.startswith(HASH_PREFIX) for _, _, secret in _lines(text, str(path))):
        log.warning("--auth: %s holds passwords in plain text; run: web.py --auth %s --hash-passwords", path, path)
    return users


def hash_passwords(auth: str) -> int:
    """Replaces the passwords in a file with hashes, makes it readable by its owner only, and returns their number."""
    path = _auth_file(auth)
    text = _read(path)
    lines, count = text.splitlines(), 0
    for number, name, secret in _lines(text, str(path)):
        if not secret.startswith(HASH_PREFIX):
            lines[number - 1] = f"{name}:{_hashed(secret)}"
            count += 1
    try:
        write_atomically(path, "".join(f"{line}\n" for line in lines), private=True)
    except OSError as error:
        raise UsageError(f"--auth: {explain_os_error(error, path)}") from error
    return count


def _auth_file(auth: str) -> Path:
    path = Path(auth)
    if path.is_file():
        return path
    if ":" in auth:
        raise UsageError(
            "--auth takes the name of a file: everyone can read a password on the command line in `ps`; "
            f"write name:password into a file (chmod 600) or into ${AUTH_VARIABLE}"
        )
    raise UsageError(f"--auth: there is no file {auth!r}; it must hold name:password, one a line")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--auth: {path} cannot be read: {error}") from error


def _users(text: str, where: str, viewers: frozenset[str]) -> Users:
    secrets_by_name = {name: secret for _, name, secret in _lines(text, where)}
    unknown = viewers - secrets_by_name.keys()
    if unknown:
        raise UsageError(f"--viewers: {where} knows no {', '.join(sorted(unknown))}")
    hashes = {
        name: secret if secret.startswith(HASH_PREFIX) else _hashed(secret) for name, secret in secrets_by_name.items()
    }
    return Users(hashes, viewers)


def _lines(text: str, where: str) -> list[tuple[int, str, str]]:
    """Line number, name and secret of each line that holds one."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, colon, secret = line.strip().partition(":")
        if not colon or not name.strip() or not SHORTEST_PASSWORD <= len(secret) <= LONGEST_PASSWORD:
            raise UsageError(
                f"{where}, line {number}: expected name:password, the password with {SHORTEST_PASSWORD} to "
                f"{LONGEST_PASSWORD} characters"
            )
        _check_hash(secret, f"{where}, line {number}")
        found.append((number, name.strip(), secret))
    return found


def _check_hash(secret: str, where: str) -> None:
    if not secret.startswith(HASH_PREFIX):
        return
    try:
        _hasher.check_needs_rehash(secret)
    except InvalidHashError as error:
        raise UsageError(f"{where}: this begins like an argon2 hash but is not one") from error
