"""The host that was checked is the host that FFmpeg dials: real sockets at three addresses tell which one it was."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from vigil.hosts import is_public, parse_address, parse_host, parse_host_port

HOSTS = ("127.0.0.1", "127.0.0.2", "::1")


@dataclass
class Doors:
    """Listening sockets, one at each of this machine's addresses, all at one port; `dialled` is who was called."""

    port: int
    sockets: dict[str, socket.socket]
    dialled: list[str] = field(default_factory=list)

    def answer(self, host: str) -> None:
        """Notes each call, and hangs up."""
        while True:
            try:
                client, _ = self.sockets[host].accept()
            except OSError:
                return
            self.dialled.append(host)
            with contextlib.suppress(OSError), client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    with contextlib.ExitStack() as stack:
        sockets: dict[str, socket.socket] = {}
        port = 0
        for host in HOSTS:
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sockets[host] = stack.enter_context(contextlib.closing(listener))
            listener.bind((host, port))
            listener.listen(64)
            port = listener.getsockname()[1]
        made = Doors(port, sockets)
        for host in HOSTS:
            threading.Thread(target=made.answer, args=(host,), daemon=True).start()
        yield made
        for listener in sockets.values():
            listener.shutdown(socket.SHUT_RDWR)


SPELLINGS = st.sampled_from(
    [
        *("127.0.0.1", "127.0.0.2", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.2]", "localhost", "LOCALHOST"),
        *("127.1", "0x7f.1", "0177.0.0.1", "2130706433", "0x7f000001", "127.0.0.1.", "localhost.", "127.0.0.02"),
        *("::1", "[::1%lo]", "[::1%25lo]", "%3127.0.0.1", "１２７.0.0.1", "127。0。0。1", "127.0.0.1\\", "ⓛocalhost"),
        *("127.0.0.1[::1]", "[::1]127.0.0.1", "[127.0.0.1]", "", "-h", "a..b", "127.0.0.1%00", "127.0.0.1\t"),
    ]
)
PIECES = st.sampled_from(
    ["", "@", ":", ":PORT", ":0PORT", "[::1]", "/", "\\", "?", "#", "%40", "127.0.0.2", "u:p@", "x"]
)
USERS = st.sampled_from(
    ["", "u:p@", "u@", "127.0.0.2@", "u:p@127.0.0.2@", "u:%40@", "a[b]:c@", "u:p:q@", "é:ü@"],
)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    scheme = draw(st.sampled_from(["http", "rtsp", "HTTP"]))
    return f"{scheme}://{draw(USERS)}{draw(SPELLINGS)}{draw(PIECES)}{draw(PIECES)}:PORT/{draw(PIECES)}"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("http://127.0.0.1:PORT[::1]/x")
@example("http://[::ffff:127.0.0.2]:PORT/x")
@example("http://u:p@LOCALHOST:PORT?x")
@example("rtsp://[::1]:PORT/a@b")
@example("rtsp://127.0.0.2:PORT/x?tcp")
@example("http://127.0.0.2:PORT#@127.0.0.1:PORT/")
@given(addresses())
def test_the_host_that_was_checked_is_the_host_that_ffmpeg_dials(doors: Doors, text: str) -> None:
    try:
        checked = parse_address(text.replace("PORT", str(doors.port)))
    except ValueError:
        return
    doors.dialled.clear()
    with contextlib.suppress(av.FFmpegError, ValueError):
        av.open(checked.location, options={"rtsp_transport": "tcp"}, timeout=(1.0, 1.0)).close()
    meant = {"localhost": {"127.0.0.1", "::1"}}.get(checked.host, {checked.host})
    assert set(doors.dialled) <= meant
    if checked.port == doors.port and checked.host in HOSTS:
        assert doors.dialled, f"{checked.location} reached nobody"


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:80[::1]/x",
        "http://[::1]x:80/",
        "http://a@b@h/",
        "http://h\\@x/",
        "http://h%2e/",
        "http://ⅷ.example/",
        "http://münchen.example/",
        "http://1.2.3/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://a.0x1/",
        "http://h./",
        "http://[fe80::1%eth0]/",
        "http://h:80:90/",
        "http://h:٣/",
        "http://h\r\nHost: x/",
        "http://h/\x00",
        "http:///x",
        f"http://{'a' * 254}/",
        f"http://h/{'a' * 4000}",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("RTSP://User:P%40ss@Cam.Example:8554/A/b?c=d&e#f", "rtsp://User:P%40ss@cam.example:8554/A/b?c=d&e"),
        ("http://[0:0::1]/", "http://[::1]/"),
        ("http://[::FFFF:7f00:1]:80/", "http://127.0.0.1:80/"),
        ("http://h?x=1", "http://h/?x=1"),
        ("rtsp://h:554", "rtsp://h:554"),
        ("rtsp://a:p[w]{x}@h/ü", "rtsp://a:p%5Bw%5D%7Bx%7D@h/%C3%BC"),
        ("http://h:/x", "http://h/x"),
    ],
)
def test_an_address_is_built_anew_from_its_parts(text: str, location: str) -> None:
    assert parse_address(text).location == location
    assert parse_address(location).location == location


def test_a_host_has_one_spelling() -> None:
    assert {parse_host(host) for host in ("[::1]", "[0::1]", "[0:0:0:0:0:0:0:1]")} == {"::1"}
    assert str(parse_host_port("[0::1]:554")) == "[::1]:554"
    assert str(parse_host_port("CAM:80")) == "cam:80"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("::ffff:8.8.8.8", True), ("64:ff9b::808:808", True),
        ("2002:808:808::1", True), ("127.0.0.1", False), ("10.0.0.7", False), ("172.31.0.1", False),
        ("192.168.1.7", False), ("169.254.169.254", False), ("100.64.0.1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("240.0.0.1", False), ("::1", False), ("::", False), ("fe80::1", False),
        ("fe80::1%eth0", False), ("fc00::1", False), ("fec0::1", False), ("ff02::1", False),
        ("::ffff:10.0.0.7", False), ("64:ff9b::a00:7", False), ("2002:a00:7::1", False), ("::7f00:1", False),
        ("2001:db8::1", False), ("192.0.2.1", False),
    ],
)  # fmt: skip
def test_an_address_is_public_only_if_what_it_stands_for_is(address: str, public: bool) -> None:
    assert is_public(address) is public
