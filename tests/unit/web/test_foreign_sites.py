import asyncio

import httpx
import pytest
from app.web.access import Gate
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send


def status_of(method: str, headers: dict[str, str]) -> int:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(Request(scope).method)(scope, receive, send)

    async def ask() -> int:
        transport = httpx.ASGITransport(app=Gate(page, users={}))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return (await client.request(method, "/en/gradio_api/component_server", headers=headers)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9000"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
    ],
)
def test_a_page_of_another_site_can_do_nothing_here(headers: dict[str, str]) -> None:
    assert status_of("POST", headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:7860"},
        {"sec-fetch-site": "same-origin", "origin": "http://behind.a.proxy"},
        {"origin": "http://127.0.0.1:7860"},
        {},
    ],
)
def test_the_pages_themselves_and_programs_can(headers: dict[str, str]) -> None:
    assert status_of("POST", headers) == 200


def test_a_link_from_another_site_leads_here() -> None:
    assert status_of("GET", {"sec-fetch-site": "cross-site"}) == 200
