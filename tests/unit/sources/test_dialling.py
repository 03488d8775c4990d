"""The address that was checked is the one that is dialled, whatever a name says at the next look-up."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vigil.errors import SourceError
from vigil.hosts import parse_address
from vigil.sources.address import Address
from vigil.sources.capture import CaptureSettings
from vigil.sources.confined_http import ConfinedHttp
from vigil.sources.dialling import checked_address, system_resolver
from vigil.sources.stream_opener import StreamOpener
from waiting import HANG_S

SOON = CaptureSettings(open_timeout_s=2.0, read_timeout_s=2.0)


class Answers:
    """A resolver whose answers are scripted, the last one for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize(
    "answer",
    [
        "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
        "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fe80::1", "fe80::1%eth0", "fe80::1%1",
        "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "10.0.0.7%lo", "somewhere",
    ],
)  # fmt: skip
def test_a_name_that_leads_to_no_camera_of_another_machine_is_refused(answer: str) -> None:
    with pytest.raises(SourceError, match=r"the name cam\.example leads to"):
        checked_address("cam.example", 80, resolve=Answers([answer]))
    with pytest.raises(SourceError, match=r"the name cam\.example leads to"):
        checked_address("cam.example", 80, resolve=Answers(["10.0.0.7", answer]))


@pytest.mark.parametrize("answer", ["10.0.0.7", "192.168.1.9", "93.184.216.34", "fd00::7", "2606:2800:220:1::1"])
def test_a_name_may_lead_to_another_machine(answer: str) -> None:
    assert checked_address("cam.example", 80, resolve=Answers([answer])) == answer


def test_localhost_is_this_machine_and_an_address_needs_no_look_up() -> None:
    assert checked_address("localhost", 80, resolve=Answers(["127.0.0.1"])) == "127.0.0.1"
    with pytest.raises(SourceError, match="leads to"):
        checked_address("localhost", 80, resolve=Answers(["169.254.169.254"]))
    resolver = Answers(["10.0.0.7"])
    assert checked_address("127.0.0.1", 80, resolve=resolver) == "127.0.0.1" and resolver.asked == []
    assert checked_address("localhost", 80) in system_resolver("localhost", 80)


def test_a_name_that_is_not_known_is_told() -> None:
    def fails(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    for resolver in (fails, Answers([])):
        with pytest.raises(SourceError, match=r"the name cam\.example is not known"):
            checked_address("cam.example", 80, resolve=resolver)


@contextmanager
def web_server() -> Iterator[tuple[int, list[str]]]:
    """A server that notes which host it was asked as."""
    hosts: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(str(self.headers["Host"]))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_port, hosts
    finally:
        server.shutdown()
        server.server_close()
        thread.join(HANG_S)


def test_an_http_camera_is_dialled_where_its_name_led_when_it_was_checked() -> None:
    with web_server() as (port, hosts):
        resolver = Answers(["127.0.0.1"], ["169.254.169.254"])
        url = f"http://cam.localhost:{port}/a"
        http = ConfinedHttp(parse_address(url), open_s=HANG_S, read_timeout_s=HANG_S, resolve=resolver)
        for _ in range(3):
            assert http.open(url, 0, {}).read(10) == b"ok"
        http.close()
        assert resolver.asked == ["cam.localhost"] and hosts == [f"cam.localhost:{port}"] * 3
        again = ConfinedHttp(parse_address(url), open_s=1, read_timeout_s=1, resolve=resolver)
        with pytest.raises(SourceError, match=r"leads to 169\.254\.169\.254"):
            again.open(url, 0, {})
        again.close()
    assert len(hosts) == 3


def opener(url: str, resolver: Answers) -> StreamOpener:
    return StreamOpener(Address("stream", "cam", url, confined=True), settings=SOON, resolve=resolver)


def test_an_rtsp_camera_is_dialled_where_its_name_led_when_it_was_checked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(HANG_S)
        asked: list[bytes] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        resolver = Answers(["127.0.0.1"], ["169.254.169.254"])
        camera = opener(f"rtsp://cam.localhost:{port}/live", resolver)
        with ExitStack() as stack, pytest.raises(SourceError):
            camera.open(stack)
        thread.join(HANG_S)
        assert asked[0].startswith(b"OPTIONS rtsp://127.0.0.1:")
        with ExitStack() as stack, pytest.raises(SourceError, match=r"leads to 169\.254\.169\.254"):
            camera.open(stack)
    assert resolver.asked == ["cam.localhost"] * 2
