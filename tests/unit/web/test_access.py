import asyncio
from base64 import b64encode
from pathlib import Path

import httpx
import pytest
from app.web import access
from app.web.access import Gate, check_host, read_users, user_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vigil.errors import UsageError

USERS = {"ada": "correct horse"}


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def get(users: dict[str, str], **headers: str) -> httpx.Response:
    async def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.scope.get('vigil_user')}")

    async def ask() -> httpx.Response:
        app = Gate(Starlette(routes=[Route("/", who)]), users=users)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:7860") as client:
            return await client.get("/", headers=headers)

    return asyncio.run(ask())


def test_another_address_without_a_password_is_refused() -> None:
    with pytest.raises(UsageError, match="other machines"):
        check_host("0.0.0.0", {})
    check_host("0.0.0.0", USERS)
    check_host("127.0.0.1", {})


def test_a_password_on_the_command_line_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError, match="seen by everybody") as refused:
        read_users("ada:correct horse")
    assert "correct horse" not in str(refused.value)


def test_users_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users.txt"
    file.write_text("ada:correct horse\n\nbob: with:colons \n")
    assert read_users(str(file)) == {"ada": "correct horse", "bob": " with:colons"}
    monkeypatch.setenv("VIGIL_WEB_AUTH", "eve:another one")
    assert read_users(None) == {"eve": "another one"}
    monkeypatch.delenv("VIGIL_WEB_AUTH")
    assert read_users(None) == {}


@pytest.mark.parametrize("text", ["", "ada", "ada:short", ":correct horse"])
def test_a_file_without_a_good_password_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users.txt"
    file.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_users(str(file))
    assert "correct horse" not in str(refused.value)


def test_the_right_password_lets_in_and_tells_who() -> None:
    answer = get(USERS, Authorization=basic("ada", "correct horse"))
    assert (answer.status_code, answer.text) == (200, "hello ada")


def test_without_a_password_the_browser_is_asked_for_one() -> None:
    answer = get(USERS)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    "header",
    [basic("ada", "wrong"), basic("eve", "correct horse"), "Basic !!", "Bearer x", basic("eve", ""), basic("ada", "")],
)
def test_a_wrong_password_is_refused(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "WRONG_PASSWORD_S", 0.0)
    assert user_of(header, USERS) is None
    assert get(USERS, Authorization=header).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_without_passwords_this_machines_names_are_answered(host: str) -> None:
    assert get({}, Host=host).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.5:7860", "[", ""])
def test_without_passwords_no_other_name_is_answered(host: str) -> None:
    assert get({}, Host=host).status_code == 421
