import asyncio
import time
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


def gate(users: dict[str, str]) -> Gate:
    async def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {request.scope.get('vigil_user')}")

    return Gate(Starlette(routes=[Route("/", who)]), users=users)


async def ask(app: Gate, address: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app, client=(address, 4000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
        return await client.get("/", headers=headers)


def get(users: dict[str, str], **headers: str) -> httpx.Response:
    return asyncio.run(ask(gate(users), "127.0.0.1", **headers))


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


@pytest.mark.parametrize(
    ("users", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"Host": "evil.example"}, 421),
        ({}, {"Origin": "https://evil.example"}, 200),
        (USERS, {}, 401),
        (USERS, {"Authorization": basic("ada", "correct horse")}, 200),
    ],
)
def test_no_answer_is_shown_in_a_frame_of_another_site(
    users: dict[str, str], headers: dict[str, str], status: int
) -> None:
    answer = get(users, **headers)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


async def timed(app: Gate, address: str, name: str, password: str) -> tuple[int, float]:
    began_s = time.monotonic()
    answer = await ask(app, address, Authorization=basic(name, password))
    return answer.status_code, time.monotonic() - began_s


def test_many_wrong_passwords_at_once_take_as_long_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "WRONG_PASSWORD_S", 0.1)

    async def guess() -> list[tuple[int, float]]:
        app = gate(USERS)
        assert (await timed(app, "10.0.0.1", "ada", "correct horse"))[0] == 200
        wrong = [timed(app, "10.0.0.2", "ada", f"wrong {number}") for number in range(10)]
        right = [timed(app, f"10.0.0.{last}", "ada", "correct horse") for last in (1, 2, 3)]
        return list(await asyncio.gather(*wrong, *right))

    *wrong, known, guessed, elsewhere = asyncio.run(guess())
    assert {status for status, _ in wrong} == {401} and max(took_s for _, took_s in wrong) >= 0.8
    assert known[0] == elsewhere[0] == guessed[0] == 200
    assert known[1] < 0.6 and elsewhere[1] < 0.6
    assert guessed[1] >= 0.8


def test_who_tries_too_many_is_sent_away_at_once_and_let_in_by_and_by() -> None:
    tries = access.Tries()
    waits = [tries.wait_s("10.0.0.2", None, 100.0) for _ in range(300)]
    assert waits[:3] == [1.0, 2.0, 3.0] and max(waits) <= access.LONGEST_WAIT_S
    assert tries.wait_s("10.0.0.2", "ada", 100.0) == access.LONGEST_WAIT_S
    assert tries.wait_s("10.0.0.2", "ada", 100.0 + access.LONGEST_WAIT_S) == 0.0


def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MOST_ADDRESSES", 10)
    tries = access.Tries()
    for number in range(50):
        tries.wait_s(f"10.0.0.{number}", None, 100.0)
    assert tries.wait_s("10.0.0.0", "ada", 100.0) == 0.0
    assert tries.wait_s("10.0.0.49", "ada", 100.0) == 1.0
