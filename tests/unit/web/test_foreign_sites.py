"""What a page of another site can get the visitor's browser to ask of these pages: nothing but to show a start page."""

import asyncio

import httpx
import pytest
from app.access import AccessMiddleware, AccessOptions
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def ask(method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(Request(scope).method)(scope, receive, send)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=AccessMiddleware(page, options=AccessOptions()))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(asked())


FOREIGN: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9000"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
    {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    {"sec-fetch-site": "something new"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9000"},
    {"origin": "http://["},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/en/gradio_api/component_server/"),
        ("POST", "/en/gradio_api/queue/join"),
        ("POST", "/en/gradio_api/upload"),
        ("POST", "/sign-in"),
        ("GET", "/"),
        ("GET", "/en/"),
        ("GET", "/en/gradio_api/file=/x.png"),
        ("GET", "/en/gradio_api/app_id"),
        ("GET", "/language/zh"),
        ("GET", "/en/theme.css"),
    ],
)
def test_a_page_of_another_site_can_do_and_read_nothing_here(method: str, path: str, headers: dict[str, str]) -> None:
    answer = ask(method, path, headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/", "/en", "/en/", "/zh/?event=e0001"])
def test_a_link_from_another_site_leads_to_a_start_page(path: str, site: str) -> None:
    assert ask("GET", path, {"sec-fetch-site": site, **LINK}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/en/gradio_api/file=/x.png",
        "/en/gradio_api/app_id",
        "/language/zh",
        "/en/gradio_api/queue/data",
        "/en/theme.css",
    ],
)
def test_a_link_from_another_site_leads_nowhere_else(path: str) -> None:
    assert ask("GET", path, {"sec-fetch-site": "cross-site", **LINK}).status_code == 403
    assert ask("GET", path, {"referer": "https://evil.example/page"}).status_code == 403


def test_a_form_of_another_site_sends_nothing() -> None:
    assert ask("POST", "/en/", {"sec-fetch-site": "cross-site", **LINK}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:7860"},
        {"sec-fetch-site": "same-origin", "origin": "http://localhost:7860"},
        {"origin": "http://127.0.0.1:7860"},
        {"referer": "http://127.0.0.1:7860/en/"},
        {},
    ],
)
def test_the_pages_themselves_and_programs_can(headers: dict[str, str]) -> None:
    assert ask("POST", "/en/gradio_api/component_server/", headers).status_code == 200
    assert ask("GET", "/en/gradio_api/app_id", headers).status_code == 200


def test_no_site_is_told_that_it_may() -> None:
    preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = ask("OPTIONS", "/en/gradio_api/queue/join", preflight)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]
