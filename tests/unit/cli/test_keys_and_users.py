"""`vigil keys` and `vigil users`: what they keep, what they show, and what they say to words that are none."""

from pathlib import Path

import pytest

from vigil.cli.main import main
from vigil.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "events.db"
    monkeypatch.setenv("VIGIL_STORE", str(path))
    monkeypatch.chdir(tmp_path)
    return path


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "add", "dashboard", "--role", "viewer", "--scope", "events", "--expires", "90d"]) == 0
    secret = capsys.readouterr().out.strip()
    with Store.open(store) as opened:
        [key] = opened.api_keys.all()
    assert secret and secret not in store.read_bytes().decode("latin-1")
    assert main(["keys", "list"]) == 0
    shown = capsys.readouterr().out
    assert key.id in shown and "events" in shown and secret not in shown
    assert main(["keys", "revoke", key.id]) == 0
    assert main(["keys", "list"]) == 0
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["keys", "add", "x", "--expires", "yesterday"], "how long the key is valid"),
        (["keys", "add", "x", "--expires", "2020-01-01"], "that is over"),
        (["keys", "add", "x", "--scope", "nosuch"], "there is no scope 'nosuch'"),
        (["keys", "revoke", "key_nosuch"], "there is no key"),
        (["users", "remove", "nobody"], "there is no user 'nobody'"),
        (["users", "role", "nobody", "viewer"], "there is no user 'nobody'"),
        (["users", "add", "lena", "--password-file", "nosuch.txt"], "nosuch.txt"),
    ],
)
def test_words_that_are_none_are_told_in_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    Store.open(store).close()
    assert main(words) == 2
    said = capsys.readouterr().err.strip()
    assert told in said and "\n" not in said


def test_a_user_gets_a_role_and_another_password_and_goes(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passwords = tmp_path / "password.txt"
    passwords.write_text("a long password\n")
    assert main(["users", "add", "lena", "--role", "operator", "--password-file", str(passwords)]) == 0
    assert main(["users", "role", "lena", "admin"]) == 0
    passwords.write_text("short\n")
    assert main(["users", "password", "lena", "--password-file", str(passwords)]) == 2
    assert "8 to 1024 characters" in capsys.readouterr().err
    assert main(["users", "list"]) == 0
    assert "admin" in capsys.readouterr().out
    assert b"a long password" not in store.read_bytes()
    assert main(["users", "remove", "lena"]) == 0
    assert main(["users", "list"]) == 0
    assert "lena" not in capsys.readouterr().out
