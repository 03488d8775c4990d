"""Users and keys of file and store together, read again while a server runs."""

import time
from pathlib import Path

import pytest
from app.accounts import FRESH_S, Accounts
from app.passwords import Users

from vigil.store import Store
from vigil.store.times import ExpiryClock, format_utc, passed_s
from vigil.store.users import Role
from waiting import HANG_S, Hands

FILE = Users({"ada": "$argon2-file", "bob": "$argon2-bob"}, frozenset({"bob"}))


def test_the_file_goes_before_the_store(tmp_path: Path) -> None:
    with Store.open(tmp_path / "events.db") as store:
        store.users.add("ada", Role.VIEWER, password_hash="$argon2-store")
        store.users.add("otto", Role.OPERATOR, password_hash="$argon2-otto")
        accounts = Accounts(FILE, lambda: store)
        roles = [accounts.role_of(name) for name in ("ada", "bob", "otto", "nobody")]
    assert roles == [Role.ADMIN, Role.VIEWER, Role.OPERATOR, None]
    assert accounts.hash_of("ada") == "$argon2-file" and accounts.hash_of("otto") == "$argon2-otto"
    assert accounts.may_change("otto") and not accounts.may_change("otto", role=Role.ADMIN)
    assert not accounts.may_change("bob") and not accounts.may_change(None)


def test_what_is_changed_in_the_store_is_known_soon(tmp_path: Path) -> None:
    clock = Hands()
    with Store.open(tmp_path / "events.db") as store:
        accounts = Accounts(None, lambda: store, clock=clock)
        assert not accounts and accounts.may_change(None)
        store.users.add("otto", Role.OPERATOR, password_hash="$argon2-otto")
        made = store.api_keys.add("a", Role.VIEWER)
        assert accounts.key(made.secret) is not None and accounts.key("vigil_other") is None
        store.api_keys.revoke(made.id)
        clock.wait(FRESH_S)
        assert accounts and accounts.key(made.secret) is None


def test_what_was_known_stays_known_while_the_store_is_away(tmp_path: Path) -> None:
    clock = Hands()
    with Store.open(tmp_path / "events.db") as store:
        store.users.add("otto", Role.OPERATOR, password_hash="$argon2-otto")
        made = store.api_keys.add("a", Role.VIEWER)
        accounts = Accounts(None, lambda: store, clock=clock)
        assert accounts and accounts.key(made.secret) is not None
    for path in tmp_path.glob("events.db*"):
        path.write_bytes(b"damaged")
    clock.wait(FRESH_S)
    assert accounts.role_of("otto") is Role.OPERATOR and accounts.key(made.secret) is not None
    assert accounts.key("vigil_never_seen") is None


@pytest.mark.parametrize("expires_utc", ["2020-01-01T00:00:00.000Z"])
def test_an_expired_key_is_none(tmp_path: Path, expires_utc: str) -> None:
    with Store.open(tmp_path / "events.db") as store:
        made = store.api_keys.add("a", Role.VIEWER, expires_utc=expires_utc)
        assert Accounts(None, lambda: store).key(made.secret) is None


class Clocks:
    """The clock on the wall, which can be set, and the time that has passed, which cannot."""

    def __init__(self) -> None:
        self.wall_s, self.passed_s = 1_795_953_600.0, 100.0

    def pass_(self, seconds: float) -> None:
        self.wall_s += seconds
        self.passed_s += seconds

    def set_(self, by_s: float) -> None:
        self.wall_s += by_s


def test_setting_the_clock_back_prolongs_no_key_and_setting_it_ahead_ends_it_as_long_as_it_is(tmp_path: Path) -> None:
    clocks = Clocks()
    now = ExpiryClock(lambda: clocks.wall_s, lambda: clocks.passed_s)
    with Store.open(tmp_path / "events.db") as store:
        ends_utc = format_utc(clocks.wall_s + 60)
        made = store.api_keys.add("a", Role.VIEWER, expires_utc=ends_utc)
        accounts = Accounts(None, lambda: store, now=now)

        def is_valid() -> bool:
            return accounts.key(made.secret) is not None

        assert is_valid()
        clocks.set_(-3600)
        clocks.pass_(59)
        assert is_valid()
        clocks.pass_(1)
        assert not is_valid(), "it would have an hour more by the clock that was set back"
        clocks.set_(3600)
        assert not is_valid(), "set right again, it has ended all the same"
        again = store.api_keys.add("b", Role.VIEWER, expires_utc=format_utc(clocks.wall_s + 60))
        clocks.set_(86_400)
        assert accounts.key(again.secret) is None
        clocks.set_(-86_400)
        assert accounts.key(again.secret) is not None, "a clock that ran ahead for a moment ends no key for good"


def test_an_own_clock_of_expiry_never_runs_behind_and_the_machine_has_one_that_passes() -> None:
    assert ExpiryClock()() == pytest.approx(time.time(), abs=HANG_S)
    before = passed_s()
    assert passed_s() >= before


def test_a_change_is_known_at_the_next_question_without_waiting(tmp_path: Path) -> None:
    clock = Hands()
    with Store.open(tmp_path / "events.db") as store, Store.open(tmp_path / "events.db") as elsewhere:
        accounts = Accounts(None, lambda: store, clock=clock)
        made = elsewhere.api_keys.add("a", Role.VIEWER)
        elsewhere.users.add("otto", Role.OPERATOR, password_hash="$argon2-otto")
        assert accounts.key(made.secret) is not None and accounts.role_of("otto") is Role.OPERATOR
        elsewhere.api_keys.revoke(made.id)
        elsewhere.users.set_role("otto", Role.VIEWER)
        assert accounts.key_at_once(made.secret) == (False, None)
        assert accounts.key(made.secret) is None and accounts.role_of("otto") is Role.VIEWER


def test_nothing_is_read_again_while_nothing_is_committed(tmp_path: Path) -> None:
    clock = Hands()
    with Store.open(tmp_path / "events.db") as store:
        accounts = Accounts(None, lambda: store, clock=clock)
        made = store.api_keys.add("a", Role.VIEWER)
        assert accounts.key_at_once(made.secret) == (False, None)
        assert accounts.key(made.secret) is not None and not accounts
        clock.wait(1000 * FRESH_S)
        is_known, key = accounts.key_at_once(made.secret)
        assert is_known and key is not None and key.id == made.id and not accounts.is_stale


def test_a_key_that_ends_is_refused_though_nothing_is_committed(tmp_path: Path) -> None:
    clocks = Clocks()
    with Store.open(tmp_path / "events.db") as store:
        made = store.api_keys.add("a", Role.VIEWER, expires_utc=format_utc(clocks.wall_s + 60))
        accounts = Accounts(None, lambda: store, now=ExpiryClock(lambda: clocks.wall_s, lambda: clocks.passed_s))
        assert accounts.key(made.secret) is not None
        clocks.pass_(61)
        assert accounts.key_at_once(made.secret) == (True, None)
