"""The real vLLM takes pictures from requests alone, unless its operator names domains."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from media_trap import PICTURE, Trap, media_trap
from vigil.serving.server import RunningServer
from waiting import HANG_S

pytestmark = pytest.mark.e2e

CLOSED = (
    "http://127.0.0.1:{port}/x.jpg",
    "HTTP://127.0.0.1:{port}/x.jpg",
    "https://127.0.0.1:{port}/x.jpg",
    "http://127.0.0.1:{port}/to?http://127.0.0.1:{port}/x.jpg",
    "http://localhost:{port}/x.jpg",
    "http://none@127.0.0.1:{port}/x.jpg",
    "http://none:send@127.0.0.1:{port}/x.jpg",
    "http://(none: send data: URLs)@127.0.0.1:{port}/x.jpg",
    "http://(none: send data: URLs)/x.jpg",
    "http://127.0.0.1:{port}\\@none/x.jpg",
    "http://127.0.0.1:{port}#@none/x.jpg",
    "http://[::ffff:127.0.0.1]:{port}/x.jpg",
    "http://[::1]:{port}/x.jpg",
    "http://127.0.0.1:{port}[::1]/x.jpg",
    "http://2130706433:{port}/x.jpg",
    "http://127.1:{port}/x.jpg",
    "http:127.0.0.1:{port}/x.jpg",
    "http:///127.0.0.1:{port}/x.jpg",
    "//127.0.0.1:{port}/x.jpg",
    " http://127.0.0.1:{port}/x.jpg",
    "ftp://127.0.0.1:{port}/x.jpg",
    "httpx://127.0.0.1:{port}/x.jpg",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file://localhost/etc/passwd",
    "file:/etc/passwd",
    "file:///proc/self/environ",
    "/etc/passwd",
)
KINDS = ("image_url", "video_url", "audio_url")


@pytest.fixture
def trap() -> Iterator[Trap]:
    with media_trap() as opened:
        yield opened


def _post(server: RunningServer, path: str, body: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.post(f"{server.root}{path}", json=body, headers=headers, timeout=HANG_S, trust_env=False)


def _chat(server: RunningServer, kind: str, url: str) -> httpx.Response:
    content = [{"type": kind, kind: {"url": url}}, {"type": "text", "text": "?"}]
    body = {"model": server.model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    return _post(server, "/v1/chat/completions", body)


@pytest.mark.parametrize("kind", KINDS)
def test_no_address_is_fetched_and_each_is_the_clients_mistake(server: RunningServer, trap: Trap, kind: str) -> None:
    told = {url: _chat(server, kind, url.format(port=trap.port)) for url in CLOSED}
    assert {url: answer.status_code for url, answer in told.items()} == dict.fromkeys(CLOSED, 400)
    assert trap.asked == []


def _asked_by_other_roads(model: str, url: str) -> dict[str, dict[str, Any]]:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    chat = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    image = {"type": "input_image", "image_url": url, "detail": "auto"}
    source = {"type": "image", "source": {"type": "url", "url": url}}
    return {
        "/invocations": chat,
        "/tokenize": chat,
        "/v1/chat/completions/batch": chat | {"messages": [chat["messages"]]},
        "/v1/responses": {"model": model, "input": [{"role": "user", "content": [image]}], "max_output_tokens": 16},
        "/v1/messages": {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": [source]}]},
        "/v1/messages/count_tokens": {"model": model, "messages": [{"role": "user", "content": [source]}]},
    }


def test_every_other_road_to_the_pictures_is_closed_too(server: RunningServer, trap: Trap) -> None:
    for url in (f"http://127.0.0.1:{trap.port}/x.jpg", "file:///etc/passwd"):
        bodies = _asked_by_other_roads(server.model, url)
        told = {path: _post(server, path, body) for path, body in bodies.items()}
        assert {path: answer.status_code for path, answer in told.items()} == dict.fromkeys(bodies, 400), {
            path: answer.text[:200] for path, answer in told.items()
        }
    assert trap.asked == []


def test_the_other_roads_are_open_to_what_the_request_holds(server: RunningServer) -> None:
    bodies = _asked_by_other_roads(server.model, _data("image/jpeg", PICTURE))
    told = {path: _post(server, path, body).status_code for path, body in bodies.items()}
    assert told == dict.fromkeys(bodies, 200)


def test_what_the_request_holds_is_read_and_the_refusal_says_so(server: RunningServer, trap: Trap) -> None:
    frame = base64.b64encode(PICTURE).decode()
    assert _chat(server, "image_url", _data("image/jpeg", PICTURE)).status_code == 200
    assert _chat(server, "video_url", f"data:video/jpeg;base64,{frame},{frame}").status_code == 200
    for url in (f"http://127.0.0.1:{trap.port}/x.jpg", "file:///etc/passwd"):
        assert "data: URLs" in json.loads(_chat(server, "image_url", url).text)["error"]["message"]


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
