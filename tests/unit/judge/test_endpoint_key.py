"""The server's key is made once, kept from others, and never shown."""

from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.judge.endpoint import find_server_key


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VIGIL_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_first_start_makes_a_key_that_the_next_one_finds() -> None:
    made = find_server_key()
    assert Path(".vigil/key").stat().st_mode & 0o777 == 0o600
    assert len(made.value) >= 32
    assert find_server_key() == made
    assert made.shell == "$(cat .vigil/key)"


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    find_server_key()
    monkeypatch.setenv("VLLM_API_KEY", "theirs")
    assert (find_server_key().value, find_server_key().shell) == ("theirs", "$VLLM_API_KEY")
    monkeypatch.setenv("VIGIL_API_KEY", "ours")
    assert find_server_key().value == "ours"


def test_a_named_file_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VIGIL_API_KEY", "ours")
    file = tmp_path / "deep" / "key"
    assert find_server_key(file).value == file.read_text().strip() != "ours"


def test_the_key_is_not_in_what_is_printed() -> None:
    key = find_server_key()
    assert key.value not in repr(key)


def test_only_asking_makes_no_file() -> None:
    assert find_server_key(make=False).shell == "$(cat .vigil/key)"
    assert not Path(".vigil").exists()


def test_a_file_that_others_can_read_is_told(caplog: pytest.LogCaptureFixture) -> None:
    find_server_key()
    Path(".vigil/key").chmod(0o644)
    find_server_key()
    assert "chmod 600 .vigil/key" in caplog.text


def test_a_place_that_cannot_hold_a_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="no key file can be created"):
        find_server_key(tmp_path / "file" / "key")
