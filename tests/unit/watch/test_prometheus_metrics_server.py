import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from vigil.watch.prometheus import HEAD_BYTES, MOST_CONNECTIONS, MetricsServer
from waiting import HANG_S

HALF_OPEN = 200


@pytest.fixture
def port() -> Iterator[int]:
    """Where the metrics of one counter are."""
    registry = CollectorRegistry()
    Counter("vigil_windows", "Windows", registry=registry).inc(3)
    server = MetricsServer(registry, connection_s=2.0)
    yield server.start(0, host="127.0.0.1")
    server.stop()


def calling(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=HANG_S)
    client.sendall(sent)
    return client


def answer(client: socket.socket) -> bytes:
    """All that is sent until the end; nothing where it is cut off."""
    said = b""
    with contextlib.suppress(ConnectionError), client:
        while part := client.recv(65_536):
            said += part
    return said


def scrape(port: int, **headers: str) -> str:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urllib.request.urlopen(asked, timeout=HANG_S) as said:
        text: str = said.read().decode()
    return text


def sockets_of_this_process() -> int:
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += "socket:" in str(link.readlink())
    return found


def test_a_scrape_is_answered_while_200_connections_say_nothing_and_none_of_them_costs_a_thread(port: int) -> None:
    scrape(port)
    threads, before = threading.active_count(), sockets_of_this_process()
    with contextlib.ExitStack() as stack:
        for number in range(HALF_OPEN):
            stack.enter_context(calling(port, b"" if number % 2 else b"GET /metrics HTTP/1.1\r\nHost: x\r\n"))
        assert "vigil_windows_total 3.0" in scrape(port)
        assert threading.active_count() <= threads  # those of tests before this one may end meanwhile
        # This end's sockets are all there; of the server's own there are at most as many as it has places.
        assert sockets_of_this_process() - before <= HALF_OPEN + MOST_CONNECTIONS + 2
        assert "vigil_windows_total 3.0" in scrape(port)


def test_who_asks_is_answered_though_others_keep_coming(port: int) -> None:
    done = threading.Event()

    def flood() -> None:
        held: list[socket.socket] = []
        while not done.is_set():
            held = [*held[-HALF_OPEN:], calling(port)]
        for client in held:
            client.close()

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        assert all("vigil_windows_total 3.0" in scrape(port) for _ in range(10))
    finally:
        done.set()
        flooding.join()


def test_a_connection_that_says_nothing_or_too_little_is_closed(port: int) -> None:
    for sent in (b"", b"GET /metrics HTTP/1.1\r\n", b"G"):
        assert answer(calling(port, sent)) == b""


def test_a_request_that_drips_is_closed_however_steadily_it_drips(port: int) -> None:
    client = calling(port, b"GET /metrics HTTP/1.1\r\n")
    with client, pytest.raises(ConnectionError):
        for _ in range(200):
            client.sendall(b"X-A: b\r\n")
            time.sleep(0.05)


def test_endless_headers_are_refused(port: int) -> None:
    client = calling(port, b"GET /metrics HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionError):
        for _ in range(10 * HEAD_BYTES):
            client.sendall(b"X-More: " + b"x" * 100 + b"\r\n")
    assert not answer(client).startswith(b"HTTP/1.1 200")
    assert "vigil_windows_total 3.0" in scrape(port)


def test_who_does_not_take_the_answer_is_not_waited_for() -> None:
    registry = CollectorRegistry()
    wide = Counter("vigil_windows", "Windows", ["source"], registry=registry)
    for number in range(20_000):
        wide.labels(f"{number} {'x' * 500}").inc()
    server = MetricsServer(registry, connection_s=0.5)
    port = server.start(0, host="127.0.0.1")
    answer(calling(port, b"now it listens\r\n\r\n"))
    before = sockets_of_this_process()
    with calling(port, b"GET /metrics HTTP/1.1\r\n\r\n"):
        deadline_s = time.monotonic() + HANG_S
        while sockets_of_this_process() < before + 2:
            assert time.monotonic() < deadline_s
        while sockets_of_this_process() > before + 1:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    server.stop()


def test_the_kind_of_answer_is_the_one_that_was_asked_for(port: int) -> None:
    assert "# EOF" in scrape(port, Accept="application/openmetrics-text; version=1.0.0")
    assert "# EOF" not in scrape(port)
    head = answer(calling(port, b"HEAD / HTTP/1.1\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"POST /metrics HTTP/1.1\r\n\r\n", b"405"), (b"hello\r\n\r\n", b"400"), (b"\x16\x03\x01\r\n\r\n", b"400")],
)
def test_whatever_else_is_asked_is_refused(port: int, sent: bytes, status: bytes) -> None:
    assert answer(calling(port, sent)).startswith(b"HTTP/1.1 " + status)
