import logging
import stat
from pathlib import Path

import pytest
from app.passwords import HASH_PREFIX, PasswordCheck, Users, hash_passwords, read_users

from vigil.errors import UsageError


def users_file(folder: Path, text: str, *, mode: int = 0o600) -> Path:
    file = folder / "users.txt"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_password_on_the_command_line_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="can read a password on the command line") as refused:
        read_users("ada:correct horse")
    assert "correct horse" not in str(refused.value)


def test_users_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users = read_users(str(users_file(tmp_path, "ada:correct horse\n\nbob: with:colons \n")))
    check = PasswordCheck(users)
    assert check.is_right("ada", "correct horse") and check.is_right("bob", " with:colons")
    monkeypatch.setenv("VIGIL_WEB_AUTH", "eve:another one")
    assert PasswordCheck(read_users(None)).is_right("eve", "another one")
    monkeypatch.delenv("VIGIL_WEB_AUTH")
    assert not read_users(None)


@pytest.mark.parametrize("text", ["", "ada", "ada:short", ":correct horse", "ada:$argon2id$nonsense"])
def test_a_file_without_a_good_password_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_users(str(users_file(tmp_path, text)))
    assert "correct horse" not in str(refused.value)


def test_no_password_is_kept_in_plain_text() -> None:
    users = Users.of({"ada": "correct horse"})
    assert users.hashes["ada"].startswith(HASH_PREFIX)
    assert "horse" not in repr(users) and "argon2" not in repr(users)


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong"), ("eve", "correct horse"), ("ada", ""), ("", ""), ("ada", "x" * 5000)]
)
def test_a_wrong_password_is_refused(name: str, password: str) -> None:
    check = PasswordCheck(Users.of({"ada": "correct horse"}))
    assert not check.is_right(name, password)
    assert check.is_right("ada", "correct horse") and not check.is_right(name, password)


def test_the_passwords_of_a_file_are_replaced_by_hashes_that_only_its_owner_can_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = users_file(tmp_path, "ada:correct horse\n\nbob:battery staple\n", mode=0o644)
    assert hash_passwords(str(file)) == 2
    assert "horse" not in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
    with caplog.at_level(logging.WARNING):
        users = read_users(str(file))
    assert caplog.records == []
    assert PasswordCheck(users).is_right("bob", "battery staple")
    assert hash_passwords(str(file)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["users.txt"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_can_read_and_passwords_in_plain_text_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    with caplog.at_level(logging.WARNING):
        read_users(str(users_file(tmp_path, "ada:correct horse\n", mode=mode)))
    told = caplog.text
    assert f"mode {mode:04o}" in told and "chmod 600" in told and "--hash-passwords" in told
    assert "correct horse" not in told


def test_viewers_are_users_who_may_change_nothing(tmp_path: Path) -> None:
    file = users_file(tmp_path, "ada:correct horse\nbob:battery staple\n")
    users = read_users(str(file), viewers=frozenset({"bob"}))
    assert users.may_change("ada") and not users.may_change("bob") and not users.may_change("local")
    assert Users().may_change("local")
    with pytest.raises(UsageError, match="knows no eve"):
        read_users(str(file), viewers=frozenset({"eve"}))
