from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.judge import Endpoint, read_key


@pytest.mark.parametrize(
    ("given", "url", "root"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("https://host/gateway/v1", "https://host/gateway/v1", "https://host/gateway"),
    ],
)
def test_an_address_is_completed(given: str, url: str, root: str) -> None:
    endpoint = Endpoint(url=given)
    assert (endpoint.url, endpoint.root) == (url, root)
    assert endpoint.is_encrypted == given.startswith("https")


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://host/v1", "file:///etc/passwd"])
def test_what_is_no_http_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="not the HTTP address"):
        Endpoint(url=address)


def test_a_password_in_the_address_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError) as caught:
        Endpoint(url="http://me:secret@host/v1")
    assert "secret" not in str(caught.value)


def test_a_key_is_never_shown() -> None:
    assert "secret" not in repr(Endpoint(api_key="secret"))


def test_a_key_file_beats_the_environment_which_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIGIL_API_KEY", raising=False)
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    assert read_key() == ""
    (tmp_path / ".vigil").mkdir()
    (tmp_path / ".vigil" / "key").write_text("default\n", encoding="utf-8")
    assert read_key() == read_key(url="http://localhost:1/v1") == "default"
    assert read_key(url="http://192.0.2.7:8000/v1") == read_key(url="http://nowhere.invalid/v1") == ""
    monkeypatch.setenv("VIGIL_API_KEY", "environment")
    assert read_key() == read_key(url="http://192.0.2.7:8000/v1") == "environment"
    (tmp_path / "mine").write_text("file", encoding="utf-8")
    assert read_key(tmp_path / "mine") == "file"


@pytest.mark.parametrize("content", ["", "two keys", "line\nline"])
def test_a_key_file_that_holds_no_single_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="must hold one key"):
        read_key(path)
