import errno
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from app.web.connections import Connections, Deadlines
from app.web.descriptors import ConnectionLimits
from app.web.listener import Listener, listen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limited_server import get, limited
from vigil.errors import UsageError
from vigil.serving.process import free_port


def open_now() -> set[int]:
    """The numbers of the descriptors that this process holds."""
    return {int(path.name) for path in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def few_descriptors() -> Iterator[list[int]]:
    """A list of descriptors that a test holds; this process may hold hardly more than now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_now()) + 60, hard))
    yield held
    for number in held:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hold_all(held: list[int]) -> None:
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
            return


def test_without_a_descriptor_left_who_comes_is_closed_and_later_ones_are_served(
    few_descriptors: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    with limited(Starlette(routes=[Route("/", hello)]), deadlines=Deadlines()) as site, ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(20)]
        hold_all(few_descriptors)
        for client in clients:
            client.settimeout(20)
            client.connect(("127.0.0.1", site.port))
        assert all(client.recv(1) == b"" for client in clients)
        while few_descriptors:
            os.close(few_descriptors.pop())
        with site.dial() as again:
            assert get(again).endswith(b"hello")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1 and "files and sockets that it may" in told[0]


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
