"""Whatever vLLM serves, of any task and by any protocol, it serves behind the key."""

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from vigil.environments import environment
from vigil.serving.command import INSIDE
from vigil.serving.server import RunningServer, free_port
from waiting import HANG_S

pytestmark = pytest.mark.e2e

KEY = "right"
OPEN = {("GET", "/health"), ("GET", "/ping"), ("GET", "/version")}
ALL_ROUTES = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
)


@dataclass(frozen=True, slots=True)
class Routed:
    """vLLM's web application without a model: its port, and each route's method and path."""

    port: int
    routes: list[tuple[str, str]]


@pytest.fixture(scope="module")
def routed() -> Iterator[Routed]:
    runtime, port = environment("serve"), free_port()
    variables = {**runtime.variables(), **ALL_ROUTES, "VLLM_API_KEY": KEY, "PYTHONPATH": str(INSIDE)}
    script = Path(__file__).with_name("vllm_routes.py")
    with subprocess.Popen(
        [str(runtime.python), str(script), str(port)],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        told = next(line for line in process.stdout if line.startswith("[["))
        _wait_until_open(process, port)
        yield Routed(port, [(method, path) for method, path in json.loads(told)])
        process.stdin.close()


def _wait_until_open(process: "subprocess.Popen[str]", port: int) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=HANG_S).close()
        except ConnectionRefusedError:
            continue
        return
    raise AssertionError("vLLM's web application did not start")


def _upgrade(port: int, path: str, *, key: str = "") -> int:
    more = f"Authorization: Bearer {key}\r\n" if key else ""
    with socket.create_connection(("127.0.0.1", port), timeout=HANG_S) as connection:
        connection.sendall(UPGRADE.format(path=path, port=port, more=more).encode())
        return int(connection.makefile("rb").readline().split()[1])


def _status(port: int, method: str, path: str, *, key: str = "") -> int:
    path = path.replace("{", "").replace("}", "")
    if method == "WS":
        return _upgrade(port, path, key=key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=HANG_S).status_code


def test_every_route_of_every_task_wants_the_key(routed: Routed) -> None:
    guarded = [route for route in routed.routes if route not in OPEN]
    assert {method for method, _ in guarded} >= {"GET", "POST", "WS"} and len(guarded) > 40
    for key in ("", "wrong"):
        told = {route: _status(routed.port, *route, key=key) for route in guarded}
        assert told == dict.fromkeys(guarded, 401)


def test_routes_that_change_the_server_are_among_them(routed: Routed) -> None:
    paths = {path for _, path in routed.routes}
    assert paths >= {"/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/realtime", "/metrics", "/invocations"}


def test_a_web_socket_opens_with_the_key_only(routed: Routed) -> None:
    assert _upgrade(routed.port, "/v1/realtime") == 401
    assert _upgrade(routed.port, "/v1/realtime", key=KEY[:-1]) == 401
    assert _upgrade(routed.port, "/health") == 401
    assert _upgrade(routed.port, "/v1/realtime", key=KEY) != 401


def test_a_web_socket_is_refused_by_the_whole_server(server: RunningServer) -> None:
    port = int(server.root.rpartition(":")[2])
    assert _upgrade(port, "/v1/realtime") == 401
    assert _upgrade(port, "/nowhere") == 401
    assert _upgrade(port, "/nowhere", key=server.key) == 403  # vLLM's own: it has no such socket
