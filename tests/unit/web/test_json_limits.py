import json
from collections.abc import Iterator

import httpx
import pytest
from app.http.connections import Deadlines
from app.web.json_limits import JsonLimits, structure_bytes
from fastapi import FastAPI, Request

from limited_server import Limited, limited
from waiting import HANG_S

PATH = "/en/gradio_api/queue/join"


@pytest.fixture
def site() -> Iterator[Limited]:
    app = FastAPI()

    @app.post("/{language}/gradio_api/{rest:path}")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.post("/sign-in")
    async def sign_in(request: Request) -> int:
        return len(await request.body())

    with limited(JsonLimits(app, most_bytes=100), deadlines=Deadlines()) as running:
        yield running


def post(site: Limited, body: bytes, path: str = PATH) -> httpx.Response:
    return httpx.post(f"http://127.0.0.1:{site.port}{path}", content=body, timeout=HANG_S)


def test_long_strings_pass_and_come_whole(site: Limited) -> None:
    body = json.dumps({"data": ['[],"' * 5000, "\\" * 999]}).encode()
    told = post(site, body)
    assert (told.status_code, told.json()) == (200, len(body))


@pytest.mark.parametrize("body", [b"[],", b"{},", b'"",', b"1,", b"null,", b" ", b'"\\"",'])
def test_many_parts_are_refused(site: Limited, body: bytes) -> None:
    told = post(site, b"[" + body * 200 + b"1]")
    assert told.status_code == 413 and "more parts" in told.text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_an_encoding_in_which_strings_could_hide_parts_is_refused(site: Limited, encoding: str) -> None:
    assert post(site, '["\u2222",[],"\u2222"]'.encode(encoding)).status_code == 413


@pytest.mark.parametrize("path", ["/en/gradio_api/upload", "/sign-in"])
def test_what_is_no_json_is_not_looked_at(site: Limited, path: str) -> None:
    assert post(site, b"[]," * 1000, path).status_code == 200


@pytest.mark.parametrize("body", [b'"' + b"\\" * 999_999, b'"\\' * 300_000, b'\\"' * 300_000, b'"' * 500_001])
def test_strings_that_never_end_take_no_longer_than_others(body: bytes) -> None:
    assert structure_bytes(body) <= 2 * len(body)


def test_what_stands_before_a_string_that_never_ends_counts() -> None:
    assert structure_bytes(b"[[],[]," + b'"' + b"x" * 100) == len(b"[[],[],") + 2
