import pytest
from app.http.connections import Deadlines
from app.web.framing import OneLength
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from limited_server import answer, limited

POST = "POST / HTTP/1.1\r\nHost: a\r\n"
NEXT = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def size(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.url.path} {len(await request.body())} bytes\n")


APP = OneLength(Starlette(routes=[Route(path, size, methods=["GET", "POST"]) for path in ("/", "/next")]))


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "transfer-encoding: Chunked\r\ncontent-length: 0\r\n",
    ],
)
def test_a_request_with_two_lengths_is_refused_and_what_follows_it_is_no_request(headers: str) -> None:
    with limited(APP, deadlines=Deadlines()) as site, site.dial() as client:
        client.sendall(f"{POST}{headers}\r\n0\r\n\r\n{NEXT}".encode())
        told = answer(client)
        assert told.startswith(b"HTTP/1.1 400") and told.count(b"HTTP/1.1") == 1


def test_requests_with_one_length_follow_one_another() -> None:
    with limited(APP, deadlines=Deadlines()) as site, site.dial() as client:
        chunked = f"{POST}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        client.sendall(f"{POST}Content-Length: 3\r\n\r\nabc{chunked}{NEXT}".encode())
        told = answer(client)
        assert [line for line in told.splitlines() if line.endswith(b"bytes")] == [
            b"/ 3 bytes", b"/ 2 bytes", b"/next 0 bytes",
        ]  # fmt: skip
