import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from app.http.connections import ConnectionLimits, Connections
from app.http.listener import Listener, listen

from limited_server import get, is_closed
from vigil.errors import UsageError
from vigil.serving.server import free_port
from waiting import HANG_S

TESTS = Path(__file__).resolve().parents[3]


def open_now() -> set[int]:
    """The numbers of the descriptors that this process holds."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


def test_without_a_descriptor_left_who_comes_is_closed_and_later_ones_are_served() -> None:
    command = [sys.executable, str(TESTS / "exhausted_server.py")]
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS.parent / "src", TESTS)))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, text=True, **pipes) as process:  # type: ignore[call-overload]
        port = int(process.stdout.readline())
        assert tell(process) == "held"
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), HANG_S)) for _ in range(20)]
            assert all(is_closed(client) for client in clients)
        assert tell(process) == "free"
        with socket.create_connection(("127.0.0.1", port), HANG_S) as again:
            assert get(again).endswith(b"hello")
        _, told = process.communicate()
    assert process.returncode == 0
    assert len(told.splitlines()) == 1 and "no file descriptors left" in told


def tell(process: "subprocess.Popen[str]") -> str:
    """Has the server take all descriptors or give them back, and hears which."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_every_address_of_a_name_is_listened_at() -> None:
    found = {address[0] for *_, address in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)}
    listeners = listen("localhost", free_port(), Connections(ConnectionLimits()), backlog=1)
    assert {listener.getsockname()[0] for listener in listeners} == found
    for listener in listeners:
        listener.close()


def test_a_port_that_is_taken_is_told_on_one_line() -> None:
    connections = Connections(ConnectionLimits())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot listen on"):
            listen("127.0.0.1", taken.getsockname()[1], connections, backlog=1)


def test_a_listener_gives_back_its_reserve() -> None:
    before = open_now()
    with Listener(Connections(ConnectionLimits())):
        assert open_now() != before
    assert open_now() == before
