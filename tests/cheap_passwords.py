"""Users of tests whose passwords are quickly checked; how costly ours are is for tests/unit/app/test_passwords.py."""

from app.passwords import Users
from argon2 import PasswordHasher

_hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def users_of(passwords: dict[str, str], *, viewers: frozenset[str] = frozenset()) -> Users:
    """These users: a hash tells what checking it costs, so these cost a thousandth of what `Users.of` makes."""
    return Users({name: _hasher.hash(password) for name, password in passwords.items()}, viewers)
