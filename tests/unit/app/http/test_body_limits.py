import json
from collections.abc import Iterator

import httpx
import pytest
from app.http.body_limits import BodyLimits
from app.http.connections import Deadlines
from fastapi import FastAPI, Request

from limited_server import Limited, limited
from waiting import HANG_S


@pytest.fixture
def site() -> Iterator[Limited]:
    app = FastAPI()

    @app.post("/run")
    async def run(asked: dict[str, str]) -> int:
        return len(asked["text"])

    @app.post("/en/gradio_api/upload")
    async def upload(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    @app.post("/zh/gradio_api/stream/{event}")
    async def stream(event: str, request: Request) -> int:
        return len(await request.body())

    limits = BodyLimits(app, usual_bytes=1000, picture_bytes=3000, upload_bytes=5000)
    with limited(limits, deadlines=Deadlines()) as running:
        yield running


def in_pieces(body: bytes) -> Iterator[bytes]:
    """A body whose length is not announced."""
    for start in range(0, len(body), 100):
        yield body[start : start + 100]


@pytest.mark.parametrize("is_announced", [True, False])
@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/run", 900, 200),
        ("/run", 1100, 413),
        ("/en/gradio_api/upload", 4900, 200),
        ("/en/gradio_api/upload", 5100, 413),
        ("/zh/gradio_api/stream/a1b2", 2900, 200),
        ("/zh/gradio_api/stream/a1b2", 3100, 413),
    ],
)
def test_a_body_is_taken_up_to_the_limit_of_its_route(
    site: Limited, path: str, length: int, status: int, is_announced: bool
) -> None:
    body = json.dumps({"text": "x" * (length - 12)}).encode()
    headers = {"Content-Type": "application/json"}
    told = httpx.post(
        f"http://127.0.0.1:{site.port}{path}",
        content=body if is_announced else in_pieces(body),
        headers=headers,
        timeout=HANG_S,
    )
    assert told.status_code == status
    if status == 413:
        assert "larger than this address takes" in told.text


def test_a_body_that_is_too_large_is_told_to_a_client_that_sends_all_of_it_first(site: Limited) -> None:
    for _ in range(3):
        told = httpx.post(f"http://127.0.0.1:{site.port}/run", content=b"x" * 20_000_000, timeout=HANG_S)
        assert told.status_code == 413


@pytest.mark.parametrize("path", ["/nowhere", "/en/gradio_api/uploads", "/en/gradio_api/upload/x", "/a/upload"])
def test_no_other_route_takes_a_large_body(site: Limited, path: str) -> None:
    assert httpx.post(f"http://127.0.0.1:{site.port}{path}", content=b"x" * 1100, timeout=HANG_S).status_code == 413


def test_only_a_post_is_an_upload(site: Limited) -> None:
    told = httpx.put(f"http://127.0.0.1:{site.port}/en/gradio_api/upload", content=b"x" * 2000, timeout=HANG_S)
    assert told.status_code == 413


def test_the_next_request_of_a_connection_is_answered(site: Limited) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", timeout=HANG_S) as client:
        assert client.post("/run", content=b"x" * 2000).status_code == 413
        assert client.post("/run", json={"text": "x"}).json() == 1
