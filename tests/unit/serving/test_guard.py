"""Nothing but health answers without the key, by HTTP or by a web socket."""

import asyncio
import importlib.util
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

import vigil.serving

GUARD = Path(vigil.serving.__file__).parents[1] / "serving_env" / "vigil_guard.py"


def _sent(scope: dict[str, Any]) -> list[MutableMapping[str, Any]]:
    """What the guard, or the application that it let the scope through to, sends."""
    spec = importlib.util.spec_from_file_location("vigil_guard", GUARD)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "passed", "status": 200})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(module.KeyGuard(app)(scope, None, send))
    return sent


def _headers(value: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", value)] if value else []


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/v1/chat/completions", b"Bearer right", 200),
        ("POST", "/v1/chat/completions", b"bearer right", 200),
        ("POST", "/v1/chat/completions", b"Bearer wrong", 401),
        ("POST", "/v1/chat/completions", b"Bearer right2", 401),
        ("POST", "/v1/chat/completions", b"Bearer", 401),
        ("POST", "/v1/chat/completions", b"Basic right", 401),
        ("POST", "/v1/chat/completions", b"right", 401),
        ("POST", "/invocations", b"", 401),
        ("POST", "/tokenize", b"", 401),
        ("GET", "/metrics", b"", 401),
        ("GET", "/health", b"", 200),
        ("GET", "/health/", b"", 401),
        ("POST", "/ping", b"", 401),
    ],
)
def test_each_path_wants_the_key(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, key: bytes, status: int
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "right")
    sent = _sent({"type": "http", "method": method, "path": path, "headers": _headers(key)})
    assert sent[0]["status"] == status


@pytest.mark.parametrize("path", ["/v1/realtime", "/health", "/anything"])
@pytest.mark.parametrize("key", [b"", b"Bearer wrong"])
def test_a_web_socket_without_the_key_is_refused(monkeypatch: pytest.MonkeyPatch, path: str, key: bytes) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "right")
    scope = {"type": "websocket", "path": path, "headers": _headers(key)}
    assert [message["type"] for message in _sent(scope)] == ["websocket.close"]
    answered = _sent(scope | {"extensions": {"websocket.http.response": {}}})
    assert [message["type"] for message in answered] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert answered[0]["status"] == 401
    assert _sent(scope | {"headers": _headers(b"Bearer right")})[0]["type"] == "passed"


@pytest.mark.parametrize("key", [b"", b"Bearer", b"Bearer "])
def test_where_there_is_no_key_nothing_passes(monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "")
    assert _sent({"type": "http", "method": "GET", "path": "/v1/models", "headers": _headers(key)})[0]["status"] == 401
    assert _sent({"type": "websocket", "path": "/v1/realtime", "headers": _headers(key)})[0]["type"] != "passed"


def test_the_start_and_end_of_the_application_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "right")
    assert _sent({"type": "lifespan"})[0]["type"] == "passed"
