"""The gate as a whole: what is asked of it, and what it answers."""

import asyncio
from base64 import b64encode
from typing import Any

import httpx
import pytest
from app.access import HEADERS, AccessMiddleware, AccessOptions, check_host
from app.login_throttle import LoginThrottle, TryRate
from app.passwords import PasswordCheck, Users
from app.sign_in import Passwords
from app.trusted_proxies import ForwardedHeaders, TrustedProxies
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from cheap_passwords import users_of
from vigil.errors import UsageError

USERS = users_of({"ada": "correct horse", "bob": "battery staple"})
NOBODY = Users()
BROWSER = {"user-agent": "Mozilla/5.0", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
BASE = "http://127.0.0.1:7860"


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def gate(users: Users, *, trusted: tuple[str, ...] = (), throttle: LoginThrottle | None = None) -> ASGIApp:
    async def who(request: Request) -> PlainTextResponse:
        told = f"hello {request.user.display_name}, {request.scope['vigil_visitor']}"
        return PlainTextResponse(told, headers={"Access-Control-Allow-Origin": "https://evil.example"})

    page = Starlette(routes=[Route("/{path:path}", who, methods=["GET", "POST", "OPTIONS", "PUT"])])
    passwords = Passwords(users, PasswordCheck(users), throttle or LoginThrottle())
    return ForwardedHeaders(
        AccessMiddleware(page, options=AccessOptions(users=users), passwords=passwords),
        trusted=TrustedProxies.of(trusted),
    )


async def ask(app: ASGIApp, path: str = "/", *, method: str = "GET", address: str = "127.0.0.1", **more: Any) -> Any:
    transport = httpx.ASGITransport(app, client=(address, 4000))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, cookies=more.pop("cookies", None)) as client:
        return await client.request(method, path, **more)


def get(users: Users, path: str = "/", **headers: str) -> httpx.Response:
    return asyncio.run(ask(gate(users), path, headers=headers))  # type: ignore[no-any-return]


async def signed_in(app: ASGIApp, name: str = "ada", password: str = "correct horse", **more: Any) -> Any:
    return await ask(app, "/sign-in", method="POST", data={"name": name, "password": password}, **more)


def test_another_address_or_a_proxy_without_a_password_is_refused() -> None:
    with pytest.raises(UsageError, match="other machines"):
        check_host("0.0.0.0", NOBODY)
    with pytest.raises(UsageError, match="--trusted-proxy"):
        check_host("127.0.0.1", NOBODY, TrustedProxies.of(["127.0.0.1"]))
    check_host("0.0.0.0", USERS, TrustedProxies.of(["10.0.0.2"]))
    check_host("127.0.0.1", NOBODY, TrustedProxies())


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860"])
def test_without_passwords_this_machines_names_are_answered(host: str) -> None:
    assert get(NOBODY, Host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1.evil.example", "10.0.0.5:7860", "[", "", "127.0.0.1.", "[127.0.0.1]", "127.1"),
        *("evil.example@127.0.0.1", "127.0.0.1:7860.evil.example", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1:x"),
        *("evil.example\\@127.0.0.1", "127.0.0.1:", "::1", "[::ffff:127.0.0.1]", "127.0.0.1, evil.example"),
    ],
)
def test_without_passwords_no_other_name_is_answered(host: str) -> None:
    assert get(NOBODY, Host=host).status_code == 421


@pytest.mark.parametrize(
    "header",
    [
        *(
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Real-IP",
            "Via",
            "True-Client-IP",
        ),
        *(
            "CF-Connecting-IP",
            "CF-Ray",
            "CDN-Loop",
            "Fastly-Client-IP",
            "Fly-Client-IP",
            "Client-IP",
            "X_Forwarded_For",
        ),
        *("X-Original-Forwarded-For", "X-Original-Host", "X-Envoy-External-Address", "X-Azure-ClientIP", "X-Scheme"),
    ],
)
def test_without_passwords_no_proxy_may_bring_visitors(header: str) -> None:
    assert get(NOBODY, **{header: "for=10.1.2.3"}).status_code == 403
    assert get(USERS, Authorization=basic("ada", "correct horse"), **{header: "for=10.1.2.3"}).status_code == 200


@pytest.mark.parametrize("header", ["Origin", "Referer"])
def test_without_passwords_a_browser_that_knows_these_pages_by_another_name_came_through_a_proxy(header: str) -> None:
    for name in ("https://site.example", "http://10.0.0.5:7860"):
        here = {"Sec-Fetch-Site": "same-origin", header: name}
        assert get(NOBODY, **here).status_code == 403
        assert get(USERS, Authorization=basic("ada", "correct horse"), **here).status_code == 200
    for name in ("http://127.0.0.1:7860", "http://localhost:9000/en/"):
        assert get(NOBODY, **{"Sec-Fetch-Site": "same-origin", header: name}).status_code == 200


def test_a_program_is_let_in_by_its_password_and_told_who_it_is() -> None:
    answer = get(USERS, Authorization=basic("ada", "correct horse"))
    assert (answer.status_code, answer.text) == (200, "hello ada, user ada")
    assert get(NOBODY).text == "hello , address 127.0.0.1"


def test_a_program_that_is_let_in_stands_in_the_log_of_acts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="vigil.audit"):
        assert get(USERS, Authorization=basic("ada", "correct horse")).status_code == 200
    assert caplog.messages == ['program let in user="ada" address="127.0.0.1"']


@pytest.mark.parametrize(
    "header",
    [basic("ada", "wrong"), basic("eve", "correct horse"), "Basic !!", "Bearer x", basic("eve", ""), basic("ada", "")],
)
def test_a_program_with_a_wrong_password_is_asked_for_one(header: str) -> None:
    answer = get(USERS, Authorization=header)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_browser_is_led_to_the_page_to_sign_in_and_never_asked_for_http_basic() -> None:
    answer = get(USERS, "/zh/?event=e1", **BROWSER)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/zh/%3Fevent%3De1"
    script = get(USERS, "/en/gradio_api/app_id", **{"user-agent": "Mozilla/5.0"})
    assert script.status_code == 401 and "www-authenticate" not in script.headers


def test_a_session_lets_in_until_its_owner_signs_out() -> None:
    async def visit() -> list[Any]:
        app = gate(USERS)
        came = await signed_in(app)
        cookies = dict(came.cookies)
        before = await ask(app, "/en/", cookies=cookies)
        out = await ask(app, "/sign-out", method="POST", cookies=cookies)
        return [came, before, out, await ask(app, "/en/", cookies=cookies)]

    came, before, out, after = asyncio.run(visit())
    assert (came.status_code, came.headers["location"]) == (303, "/")
    cookie = came.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=43200" in cookie
    assert (before.status_code, before.text) == (200, "hello ada, user ada")
    assert out.status_code == 303 and "Max-Age=0" in out.headers["set-cookie"]
    assert after.status_code == 401


def test_signing_in_begins_a_session_that_nobody_could_have_planted() -> None:
    async def visit() -> tuple[str, str]:
        app = gate(USERS)
        first = dict((await signed_in(app)).cookies)
        second = dict((await signed_in(app, cookies=first)).cookies)
        return first["vigil_session_7860"], second["vigil_session_7860"]

    first, second = asyncio.run(visit())
    assert first != second


@pytest.mark.parametrize("cookie", ["", "x", "WyJhIiwiYWRhIiw5OTk5OTk5OTk5XQ.c2lnbmF0dXJl"])
def test_a_forged_session_lets_nobody_in(cookie: str) -> None:
    answer = asyncio.run(ask(gate(USERS), "/en/", cookies={"vigil_session_7860": cookie}))
    assert answer.status_code == 401


def test_the_cookie_goes_over_https_only_where_the_pages_do() -> None:
    answer = asyncio.run(signed_in(gate(USERS)))
    assert "secure" not in answer.headers["set-cookie"].lower()
    secure = asyncio.run(
        ask(
            gate(USERS),
            "https://127.0.0.1:7860/sign-in",
            method="POST",
            data={"name": "ada", "password": "correct horse"},
        )
    )
    assert "secure" in secure.headers["set-cookie"].lower()


@pytest.mark.parametrize("users", [NOBODY, USERS])
@pytest.mark.parametrize("headers", [{}, {"Host": "evil.example"}, {"Origin": "https://evil.example"}, BROWSER])
def test_every_answer_keeps_other_sites_out(users: Users, headers: dict[str, str]) -> None:
    answer = get(users, **headers)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value or name == "Content-Security-Policy"
    assert "frame-ancestors" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers


SHUT = [
    "/en/gradio_api/file=http://evil.example/x.png",
    "/en/gradio_api/file=https:/evil.example/x.png",
    "/en/gradio_api/file/http://evil.example/x.png",
    "/en/gradio_api/file=HTTP://evil.example/x",
    "/en/gradio_api/file=ftp://evil.example/x",
    "/en/gradio_api/file=relative/x.png",
    "/en//gradio_api/file=/x.png",
    "/en/gradio_api/proxy=http://evil.example/x.png",
    "/zh/gradio_api/proxy=/x.png",
    "/en/gradio_api/vibe-code",
    "/en/gradio_api/info",
    "/en/gradio_api/openapi.json",
    "/en/gradio_api/profiling/traces",
    "/en/gradio_api/runs",
    "/en/gradio_api/run-history/records",
    "/en/gradio_api/deep_link",
    "/en/config",
    "/en/config/",
    "/en/monitoring/summary",
    "/en/svelte/x.js",
    "/en/assets/../config",
    "/en/assets/.env",
    "/en/pwa_icon",
    "/fr/",
    "/en/gradio_api/queue/data/",
    "/docs",
    "/openapi.json",
]


@pytest.mark.parametrize("path", SHUT)
def test_routes_that_are_not_on_the_list_are_not_there(path: str) -> None:
    assert asyncio.run(status_of(gate(NOBODY), scope_of("GET", path))) == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/en/gradio_api/process_recording"),
        ("POST", "/en/gradio_api/vibe-edit"),
        ("POST", "/en/gradio_api/run-history/connect"),
        ("POST", "/en/gradio_api/api/predict"),
        ("POST", "/en/gradio_api/call/v2/predict"),
        ("POST", "/en/gradio_api/run/other"),
        ("POST", "/en/gradio_api/profiling/clear"),
        ("POST", "/en/login"),
        ("GET", "/en/gradio_api/upload"),
        ("GET", "/en/gradio_api/queue/join"),
        ("GET", "/sign-out"),
        ("PUT", "/en/"),
        ("OPTIONS", "/en/gradio_api/queue/join"),
        ("TRACE", "/"),
    ],
)
def test_nothing_is_sent_to_what_is_not_on_the_list(method: str, path: str) -> None:
    assert asyncio.run(status_of(gate(NOBODY), scope_of(method, path))) == 404


def scope_of(method: str, path: str, **headers: str) -> dict[str, Any]:
    """A request whose path is as it came, not tidied up by a client."""
    told = {"host": "127.0.0.1:7860", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 7860),
        "scheme": "http",
        "root_path": "",
    }


async def status_of(app: ASGIApp, scope: dict[str, Any]) -> int:
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def test_no_websocket_is_opened() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {**scope_of("GET", "/en/"), "type": "websocket"}
    asyncio.run(gate(NOBODY)(scope, receive, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]


def frozen(**rates: TryRate) -> LoginThrottle:
    """A throttle whose time stands still."""
    return LoginThrottle(clock=lambda: 1000.0, **rates)


Rates = dict[str, TryRate]
TIGHT: Rates = {"per_address": TryRate(3, 60.0), "per_user": TryRate(100, 60.0), "in_all": TryRate(100, 60.0)}


def test_when_too_many_were_tried_right_and_wrong_are_answered_alike_also_where_a_user_was_let_in_before() -> None:
    checked: list[str] = []

    class Counting(PasswordCheck):
        def is_right(self, name: str, password: str) -> bool:
            checked.append(password)
            return super().is_right(name, password)

    async def guess() -> tuple[list[Any], Any, Any]:
        throttle = frozen(**TIGHT)
        app = ForwardedHeaders(
            AccessMiddleware(
                Starlette(routes=[Route("/", lambda request: PlainTextResponse("in"))]),
                options=AccessOptions(users=USERS),
                passwords=Passwords(USERS, Counting(USERS), throttle),
            ),
            trusted=TrustedProxies(),
        )
        inside = dict((await signed_in(app)).cookies)
        wrong = [await ask(app, headers={"Authorization": basic("ada", f"wrong {n}")}) for n in range(3)]
        late = [await ask(app, headers={"Authorization": basic("ada", word)}) for word in ("wrong", "correct horse")]
        late += [await signed_in(app, "ada", word) for word in ("wrong", "correct horse")]
        checked.append("session")
        return [*wrong, *late], await ask(app, cookies=inside), len(checked)

    answers, inside, count = asyncio.run(guess())
    assert [answer.status_code for answer in answers[:3]] == [401] * 3
    assert [answer.status_code for answer in answers[3:]] == [429] * 4
    assert {answer.headers["retry-after"] for answer in answers[3:]} == {"60"}
    assert answers[3].text == answers[4].text and answers[5].text == answers[6].text
    assert inside.status_code == 200, "a session is never throttled"
    assert count == 1 + 3 + 1, "what is refused is refused before the password is looked at"


@pytest.mark.parametrize(
    ("rates", "addresses", "names"),
    [
        ({"per_user": TryRate(5, 60.0)}, [f"10.0.0.{n}" for n in range(8)], ["ada"] * 8),
        ({"in_all": TryRate(5, 60.0)}, [f"10.0.0.{n}" for n in range(8)], [f"user {n}" for n in range(8)]),
        ({"per_address": TryRate(5, 60.0)}, [f"2001:db8::{n}" for n in range(8)], [f"user {n}" for n in range(8)]),
    ],
)
def test_many_addresses_names_or_ipv6_addresses_gain_nothing(
    rates: Rates, addresses: list[str], names: list[str]
) -> None:
    async def guess() -> list[int]:
        app = gate(USERS, throttle=frozen(**rates))
        tried = zip(addresses, names, strict=True)
        return [
            (await ask(app, address=address, headers={"Authorization": basic(name, "wrong pass")})).status_code
            for address, name in tried
        ]

    assert asyncio.run(guess()) == [401] * 5 + [429] * 3


def test_a_forwarded_address_moves_the_throttle_only_from_a_trusted_proxy() -> None:
    async def statuses(trusted: tuple[str, ...]) -> list[int]:
        app = gate(USERS, trusted=trusted, throttle=frozen(**TIGHT))
        return [
            (
                await ask(
                    app,
                    address="10.0.0.2",
                    headers={"Authorization": basic("ada", "wrong pass"), "X-Forwarded-For": f"10.9.9.{number}"},
                )
            ).status_code
            for number in range(5)
        ]

    assert asyncio.run(statuses(())) == [401, 401, 401, 429, 429]
    assert asyncio.run(statuses(("10.0.0.0/30",))) == [401] * 5
