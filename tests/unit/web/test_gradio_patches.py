import asyncio

import httpx
import pytest
from app.web.head_script import HeadScriptMiddleware
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

MANIFEST = '<link rel="manifest" href="/manifest.json" />'
HTML = (
    f'<!doctype html><html lang="en"><head><title>x</title>{MANIFEST}</head><body>'
    + "y" * 5000
    + "<head></body></html>"
)


def answer_to(path: str, **headers: str) -> httpx.Response:
    async def page(_: Request) -> HTMLResponse:
        return HTMLResponse(HTML)

    async def ask() -> httpx.Response:
        app = HeadScriptMiddleware(Starlette(routes=[Route("/{path:path}", page)]))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize("encoding", ["gzip, br", "identity"])
def test_a_page_tells_gradio_its_language_before_anything_else(encoding: str) -> None:
    answer = answer_to("/zh/", **{"accept-encoding": encoding})
    assert answer.text.split("<head>", 1)[1].startswith("<script>")
    assert answer.text.count('documentElement.lang = "zh-CN"') == 1
    assert answer.text.endswith("</body></html>")
    assert answer.headers.get("content-encoding", "identity") == encoding.split(",")[0]


def test_a_page_asks_for_no_manifest_and_no_icon_at_the_root_of_the_host() -> None:
    text = answer_to("/en/").text
    assert "manifest" not in text
    assert text.count('<link rel="icon" href="data:,">') == 1


def test_everything_else_passes_as_it_is() -> None:
    assert answer_to("/zh/gradio_api/file=a.html").text == HTML
    assert answer_to("/").text == HTML
