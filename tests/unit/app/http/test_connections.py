import asyncio
import logging
import socket
import ssl
import subprocess
import threading
from typing import Any

import pytest
from app.http.connections import Connection, ConnectionLimits, Connections, Deadlines
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from limited_server import LONG, START_LINE, Limited, answer, dialled, get, is_closed, limited
from waiting import HANG_S

FEW = ConnectionLimits(in_all=6, per_address=3)


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def slow(_: Request) -> PlainTextResponse:
    await asyncio.sleep(4 * LONG.head_s)
    return PlainTextResponse("at last")


async def large(_: Request) -> StreamingResponse:
    async def pieces() -> Any:
        for _ in range(2000):
            yield b"x" * 65536

    return StreamingResponse(pieces())


APP = Starlette(
    routes=[
        Route("/", hello),
        Route("/size", size, methods=["POST"]),
        Route("/slow", slow),
        Route("/large", large),
    ]
)


def post(length: int, body: bytes = b"") -> bytes:
    return f"POST /size HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n".encode() + body


def test_a_client_that_says_nothing_is_closed() -> None:
    with limited(APP) as site, site.dial() as client:
        site.wait_until_held(1)
        site.loop.skip(0.5 * LONG.head_s)
        assert len(site.connections) == 1
        site.loop.skip(0.6 * LONG.head_s)
        assert is_closed(client)
        site.wait_until_held(0)


def send_on(site: Limited, client: socket.socket, piece: bytes, *, every_s: float) -> int:
    """Sends the same again and again until the connection is closed; gives how often that was."""
    for number in range(1000):
        site.loop.skip(every_s)
        if not len(site.connections):
            return number
        client.sendall(piece)
    raise AssertionError("it is held for ever")


def test_a_head_that_never_ends_is_closed_however_much_comes() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(START_LINE)
        site.wait_until_held(1)
        assert 6 <= send_on(site, client, b"X-More: y\r\n", every_s=LONG.head_s / 10) <= 12


def test_a_second_head_that_never_ends_is_closed_too() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(START_LINE + b"\r\n")
        told = b""
        while not told.endswith(b"hello"):
            told += client.recv(65536)
        client.sendall(START_LINE)
        site.loop.skip(0.5 * LONG.head_s)
        assert len(site.connections) == 1
        site.loop.skip(0.6 * LONG.head_s)
        assert is_closed(client)
        site.wait_until_held(0)


def test_a_body_that_stalls_is_closed() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(post(100, b"half"))
        site.wait_until_held(1)
        site.loop.skip(0.5 * LONG.body_s)
        assert len(site.connections) == 1
        site.loop.skip(0.6 * LONG.body_s)
        assert answer(client) == b""
        site.wait_until_held(0)


def test_a_body_that_drips_is_closed() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(post(1_000_000))
        site.wait_until_held(1)
        # No piece is late, and all of them are.
        assert 6 <= send_on(site, client, b"x", every_s=LONG.body_grace_s / 10) <= 12


def test_a_slow_body_that_keeps_its_pace_arrives() -> None:
    piece = b"x" * int(0.8 * LONG.body_s * LONG.body_bytes_per_s)
    with limited(APP) as site, site.dial() as client:
        client.sendall(post(20 * len(piece)))
        for _ in range(20):
            site.loop.skip(0.6 * LONG.body_s)
            client.sendall(piece)
        assert answer(client).endswith(f"{20 * len(piece)} bytes".encode())


def test_a_client_that_never_reads_is_closed() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        site.wait_until_held(1)
        site.skip_until_held(0, step_s=0.6 * LONG.read_s)


def test_a_client_that_reads_slowly_gets_all_of_it() -> None:
    with limited(APP) as site, socket.socket() as client:
        client.settimeout(HANG_S)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect(("127.0.0.1", site.port))
        client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(10):
            assert all(client.recv(16384) for _ in range(32))
            site.loop.skip(0.6 * LONG.read_s)
        assert len(site.connections) == 1


def test_an_answer_that_takes_long_is_waited_for() -> None:
    with limited(APP) as site, site.dial() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        site.wait_until_held(1)
        for _ in range(5):
            site.loop.skip(LONG.head_s)
        assert answer(client).endswith(b"at last")


def test_one_address_takes_its_share_and_another_is_served() -> None:
    with limited(APP, FEW, LONG) as site, dialled(site, 5) as held:
        assert is_closed(held[3]) and is_closed(held[4])
        with site.dial(source="127.0.0.2") as other:
            assert get(other).endswith(b"hello")
        site.wait_until_held(3)
        held[0].close()
        site.wait_until_held(2)
        with site.dial() as again:
            assert get(again).endswith(b"hello")


def test_a_trusted_proxy_is_held_to_the_limit_in_all_alone() -> None:
    trusting = ConnectionLimits(in_all=6, per_address=3, trusted=frozenset({"127.0.0.1"}))
    with limited(APP, trusting, LONG) as site, dialled(site, 7) as held:
        assert is_closed(held[6])
        site.wait_until_held(6)


def test_where_all_is_taken_who_owes_a_head_the_longest_makes_way() -> None:
    with limited(APP, FEW, LONG) as site, dialled(site, 3), dialled(site, 3, source="127.0.0.2"):
        site.wait_until_held(6)
        site.loop.skip(1.2)
        with site.dial(source="127.0.0.3") as other:
            assert get(other).endswith(b"hello")


def test_where_all_is_taken_who_rests_between_two_requests_makes_way() -> None:
    def answered(client: socket.socket) -> None:
        client.sendall(START_LINE + b"\r\n")
        told = b""
        while not told.endswith(b"hello"):
            told += client.recv(65536)

    with limited(APP, FEW, LONG) as site, dialled(site, 3) as some, dialled(site, 3, source="127.0.0.2") as more:
        for client in (*some, *more):
            answered(client)
        site.wait_until_held(6)
        site.loop.skip(1.2)
        with site.dial(source="127.0.0.3") as other:
            assert get(other).endswith(b"hello")


def test_it_is_the_clients_turn_to_send_a_head_or_a_body_or_to_ask_again() -> None:
    now_s = [0.0]
    connection = Connection("a", lambda: None, head_awaited_since_s=0.0, clock=lambda: now_s[0])
    assert connection.idle_s(0.5) < 0 < connection.idle_s(1.5)
    connection.begin_request()
    assert connection.idle_s(100.0) < 0
    now_s[0] = 100.0
    connection.await_body()
    assert connection.idle_s(104.0) < 0 < connection.idle_s(106.0)
    connection.receive_body()
    assert connection.idle_s(200.0) < 0
    now_s[0] = 300.0
    connection.end_request()
    assert connection.idle_s(300.5) < 0 < connection.idle_s(301.5)


def test_a_flood_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), limited(APP, FEW, LONG) as site, dialled(site, 60) as held:
        assert all(is_closed(each) for each in held[3:])
    told = [record for record in caplog.records if "connections refused" in record.getMessage()]
    assert len(told) == 1


def test_a_request_that_upgrades_to_something_else_is_counted_like_others() -> None:
    asks = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    with limited(APP) as site, site.dial() as client:
        client.sendall(asks)
        assert answer(client).endswith(b"hello")
        site.wait_until_held(0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What uvicorn is told of a certificate that was made for this test."""
    folder = tmp_path_factory.mktemp("certificate")
    key, made = str(folder / "key.pem"), str(folder / "cert.pem")
    words = ("-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-keyout", key, "-out", made)
    subprocess.run(["openssl", "req", "-x509", *words], check=True, capture_output=True)
    return {"ssl_keyfile": key, "ssl_certfile": made}


def encrypted(client: socket.socket) -> ssl.SSLSocket:
    """The client's side of TLS, whoever the server is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(client)


def test_with_tls_the_same_holds(certificate: dict[str, str]) -> None:
    with limited(APP, **certificate) as site:
        with site.dial() as never_greets:
            site.wait_until_held(1)
            site.loop.skip(1.1 * LONG.head_s)
            assert is_closed(never_greets)
        with site.dial() as client, encrypted(client) as says_nothing:
            site.loop.skip(1.1 * LONG.head_s)
            assert is_closed(says_nothing)
        with site.dial() as client, encrypted(client) as never_reads:
            never_reads.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            site.skip_until_held(0, step_s=0.6 * LONG.read_s)
        with site.dial() as client, encrypted(client) as asks:
            assert get(asks).endswith(b"hello")


def test_with_tls_what_is_above_the_limit_is_closed_before_a_word_of_it(certificate: dict[str, str]) -> None:
    with limited(APP, FEW, LONG, **certificate) as site, dialled(site, 20) as held:
        assert all(is_closed(each) for each in held[3:])
        with site.dial(source="127.0.0.2") as client, encrypted(client) as asks:
            assert get(asks).endswith(b"hello")


def test_connections_are_released_when_clients_leave() -> None:
    with limited(APP, ConnectionLimits(in_all=400, per_address=400), LONG) as site:
        with dialled(site, 200):
            site.wait_until_held(200)
        site.wait_until_held(0)


def test_what_is_owed_is_counted_by_the_clock() -> None:
    now_s = [0.0]
    held = Connections(ConnectionLimits(), Deadlines(head_s=10), clock=lambda: now_s[0])
    closed: list[str] = []

    async def admit() -> None:
        assert held.admit("127.0.0.1", 7, lambda: closed.append("7"))

    asyncio.run(admit())
    now_s[0] = 9.0
    assert held.close_overdue() == 0
    now_s[0] = 11.0
    assert held.close_overdue() == 1 and closed == ["7"]


def test_a_connection_that_rests_owes_nothing_until_something_comes() -> None:
    connection = Connection("a", lambda: None, head_awaited_since_s=0.0)
    connection.begin_request()
    connection.receive(5.0)
    connection.end_request()
    assert not connection.is_overdue(Deadlines(head_s=10), 1000.0)
    connection.receive(1000.0)
    assert not connection.is_overdue(Deadlines(head_s=10), 1009.0)
    assert connection.is_overdue(Deadlines(head_s=10), 1011.0)


def test_many_at_once_are_served() -> None:
    told: list[bytes] = []

    def ask() -> None:
        with site.dial() as client:
            told.append(get(client))

    with limited(APP) as site:
        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANG_S)
    assert len(told) == 50 and all(each.endswith(b"hello") for each in told)
