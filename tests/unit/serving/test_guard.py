"""Nothing but health answers without the key."""

import asyncio
import importlib.util
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

import vigil.serving

GUARD = Path(vigil.serving.__file__).parent / "inside" / "vigil_guard.py"


def _status(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> int:
    spec = importlib.util.spec_from_file_location("vigil_guard", GUARD)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(module.KeyGuard(app)(scope, None, send))
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("POST", "/v1/chat/completions", b"Bearer right", 200),
        ("POST", "/v1/chat/completions", b"Bearer wrong", 401),
        ("POST", "/invocations", b"", 401),
        ("POST", "/tokenize", b"", 401),
        ("GET", "/metrics", b"", 401),
        ("GET", "/health", b"", 200),
        ("POST", "/ping", b"", 401),
    ],
)
def test_each_path_wants_the_key(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, key: bytes, status: int
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "right")
    assert _status(method, path, [(b"authorization", key)] if key else []) == status
