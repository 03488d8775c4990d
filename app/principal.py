"""Who makes a request, and what that one may do."""

from dataclasses import dataclass
from typing import Literal

from vigil.store.users import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The user or key behind a request; empty `scopes` are all of them.

    `kind` says how it is known: by a session, a password or a key, or not at all (`local`), without users.
    """

    name: str
    role: Role
    kind: Literal["local", "session", "password", "key"]
    scopes: tuple[str, ...] = ()
    address: str = ""
    csrf_token: str = ""

    def has_scope(self, scope: str) -> bool:
        """Whether this part of the service is open to it."""
        return not self.scopes or not scope or scope in self.scopes


def local_principal(address: str) -> Principal:
    """Whoever uses this machine, while there are no users."""
    return Principal(name="local", role=Role.ADMIN, kind="local", address=address)
