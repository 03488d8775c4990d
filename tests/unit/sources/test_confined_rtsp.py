"""A visitor's RTSP camera is asked at its own address alone: FFmpeg would follow a redirect anywhere."""

import asyncio
import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rtsp_server
from films import shoot
from live_seeing import UNHURRIED
from tls import Authority
from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.hosts import parse_address
from vigil.sources.address import Address
from vigil.sources.confined_rtsp import REDIRECTS, RtspRelay, pass_on
from vigil.sources.network import NetworkCamera
from vigil.sources.open_capture import CaptureSettings
from vigil.sources.stream_opener import StreamOpener
from waiting import HANG_S

OK = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\n\r\n"


@dataclass
class Speaker:
    """A server that answers each request with the next of its answers, and says what it was asked."""

    answers: list[str]
    asked: list[str] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                self._talk(self.listener.accept()[0])

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            for number, answer in enumerate(self.answers, start=1):
                request = lines.readline().decode()
                if not request:
                    return
                self.asked.append(request.split()[0])
                while lines.readline().strip():
                    pass
                client.sendall(answer.format(cseq=number).encode())


@contextmanager
def speaking(*answers: str) -> Iterator[Speaker]:
    speaker = Speaker(list(answers))
    thread = threading.Thread(target=speaker.serve, daemon=True)
    thread.start()
    try:
        yield speaker
    finally:
        # Closing alone does not wake a thread that waits in accept.
        speaker.listener.shutdown(socket.SHUT_RDWR)
        speaker.listener.close()
        thread.join(HANG_S)


def try_to_open(port: int, *, confined: bool) -> str:
    """Opens a camera that cannot be watched; returns why."""
    address = Address("stream", "camera", f"rtsp://127.0.0.1:{port}/live", confined=confined)
    settings = replace(UNHURRIED, open_timeout_s=HANG_S)
    with ExitStack() as stack, pytest.raises(SourceError) as refused:
        StreamOpener(address, settings=settings).open(stack)
    return str(refused.value)


def redirect(port: int, *, status: str = "RTSP/1.0 302 Found", end: str = "\r\n", before: str = "") -> str:
    return end.join((f"{before}{status}", "CSeq: {cseq}", f"Location: rtsp://127.0.0.1:{port}/inside", "", ""))


WRITTEN: dict[str, Callable[[int], str]] = {
    "as usual": redirect,
    "for good": lambda port: redirect(port, status="RTSP/1.0 301 Moved"),
    "without a reason": lambda port: redirect(port, status="RTSP/1.0 305"),
    "with bare line ends": lambda port: redirect(port, end="\n"),
    "with blanks": lambda port: redirect(port, status="RTSP/1.0 \t 302 Found"),
    "after a packet of media": lambda port: redirect(port, before="$\0\0\4abcd"),
}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("before", [0, 1], ids=["at once", "at the second answer"])
def test_a_redirect_is_not_followed_for_a_visitor(written: str, before: int) -> None:
    with speaking() as inside, speaking(*[OK] * before, WRITTEN[written](inside.port)) as camera:
        assert try_to_open(camera.port, confined=True) == REDIRECTS
        assert camera.asked and not inside.asked


def test_ffmpeg_alone_would_follow_it() -> None:
    with speaking(OK) as inside, speaking(redirect(inside.port)) as camera:
        try_to_open(camera.port, confined=False)
        assert inside.asked == ["OPTIONS", "DESCRIBE"][: len(inside.asked)] and inside.asked


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\n\r\n",
        "RTSP/1.0 2xx OK\r\n\r\n",
        "RTSP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        "\0" * 64,
    ],
    ids=["another protocol", "no status", "a huge body", "zeros"],
)
def test_what_is_no_rtsp_ends_with_a_reason(answer: str) -> None:
    with speaking(answer) as camera:
        assert try_to_open(camera.port, confined=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "yard.mp4"
    shoot(path, frames=250, options={"g": "25", "bf": "0", "preset": "ultrafast"})
    return path


def frames_of(location: str, settings: CaptureSettings = UNHURRIED) -> list[Frame]:
    address = Address("stream", "camera", location, confined=True)
    camera = NetworkCamera(address, FrameSampling(fps=4), stop=threading.Event(), settings=settings)
    seen: list[Frame] = []
    session = camera.session(started_s=0.0)
    while len(seen) < 3:
        signal = next(session)
        seen += [signal] if isinstance(signal, Frame) else []
    session.close()  # type: ignore[attr-defined]
    return seen


def test_a_camera_that_stays_at_its_address_is_watched_with_its_login(film: Path) -> None:
    with rtsp_server.running(film, options=["--login", "admin:p@ss"]) as camera:
        assert len(frames_of(camera.address(login="admin:p%40ss"))) == 3
        with pytest.raises(SourceError, match="check user and password"):
            frames_of(camera.address(login="admin:wrong"))


def test_a_camera_behind_tls_is_watched_if_its_certificate_is_vouched_for(film: Path, tmp_path: Path) -> None:
    ours, theirs = Authority.make(tmp_path / "ours"), Authority.make(tmp_path / "theirs")
    ours.server()
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join((tmp_path / "ours" / f"server.{end}").read_bytes() for end in ("pem", "key")))
    with rtsp_server.running(film, options=["--tls", str(both)]) as camera:
        location = camera.address().replace("rtsp:", "rtsps:")
        assert len(frames_of(location)) == 3
        assert len(frames_of(location, replace(UNHURRIED, ca_file=str(ours.file)))) == 3
        with pytest.raises(SourceError, match="its certificate is not trusted"):
            frames_of(location, replace(UNHURRIED, ca_file=str(theirs.file)))


def test_a_camera_that_is_not_there_or_says_nothing_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = Address("stream", "camera", f"rtsp://127.0.0.1:{port}/live", confined=True)
        quick = replace(UNHURRIED, open_timeout_s=0.3)
        with ExitStack() as stack, pytest.raises(SourceError, match=r"no pictures for 0\.3 s"):
            StreamOpener(address, settings=quick).open(stack)
    assert try_to_open(port, confined=True) == "Connection refused"


def test_nothing_of_a_relay_is_left_when_it_is_closed() -> None:
    with speaking(OK) as camera:
        parts = parse_address(f"rtsp://127.0.0.1:{camera.port}/live")
        with closing(RtspRelay(parts, open_s=HANG_S)) as relay:
            port = parse_address(relay.location).port
            assert port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=HANG_S)
    for thread in threading.enumerate():
        if thread.name.startswith("relay"):
            thread.join(HANG_S)
            assert not thread.is_alive()


def statuses_read_by_ffmpeg(said: bytes) -> list[int]:
    """The statuses of the answers that FFmpeg reads in a stream, as `ff_rtsp_read_reply` of libavformat/rtsp.c does."""
    stream, found = io.BytesIO(said), list[int]()
    while True:
        lines: list[bytes] = []
        while True:
            line = b""
            while (character := stream.read(1)) not in (b"", b"\n"):
                if character == b"$" and not line:
                    head = stream.read(3)
                    stream.read(int.from_bytes(head[1:], "big"))
                elif character != b"\r":
                    line += character
            if character == b"":
                return found
            if not line:
                break
            lines.append(line)
        words = [word for word in re.split(rb"[ \t\r\n]", lines[0]) if word] if lines else []
        if words and words[0].startswith(b"RTSP/"):
            status = re.match(rb"\s*\+?(\d+)", words[1]) if len(words) > 1 else None
            found.append(int(status[1]) if status else 0)
        lengths = [line.partition(b":")[2].strip() for line in lines[1:] if line.lower().startswith(b"content-length:")]
        stream.read(int(lengths[-1]) if lengths and lengths[-1].isdigit() else 0)


ANSWERS = (b"RTSP/1.0 302 Found", b"RTSP/1.0 200 OK", b"RTSP/1.0", b"RTSP/1.0\x0b200", b" 302", b" +302", b" 302x")
ENDS = (b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x0b", b"\x0c", b"\n\n", b"\r\n\r\n")
MEDIA = (b"$", b"\0\0", b"\0\4abcd", b"\0\0\4abcd", b"abcd")
FIELDS = (b"Content-Length: 4", b"Content-Length: 30", b"content-length:0", b"Content-Length : 9", b"CSeq: 1")
PIECES = st.sampled_from([*ANSWERS, *ENDS, *MEDIA, *FIELDS])


async def passed_on(said: bytes) -> bytes:
    camera, passed = asyncio.StreamReader(), bytearray()
    camera.feed_data(said)
    camera.feed_eof()

    async def send(piece: bytes) -> None:
        passed.extend(piece)

    with suppress(SourceError):
        await pass_on(camera, send)
    return bytes(passed)


@given(st.lists(PIECES | st.binary(max_size=3), max_size=30))
@example([b"$\0\0\0", b"RTSP/1.0 302 Found", b"\n", b"\n"])
@example([b"RTSP/1.0 200 OK", b"\n", b"Content-Length: 0", b"\r", b"\n", b"\n", b"RTSP/1.0 302 Found", b"\n", b"\n"])
@example([b"RTSP/1.0 200 OK", b"\n", b"$", b"\0\0\4abcd", b"\n", b"\n"])
def test_whatever_a_camera_says_ffmpeg_reads_no_redirect_in_what_is_passed_on(pieces: list[bytes]) -> None:
    passed = asyncio.run(passed_on(b"".join(pieces)))
    assert not [status for status in statuses_read_by_ffmpeg(passed) if 300 <= status < 400]


def test_the_reader_of_the_property_sees_redirects() -> None:
    assert statuses_read_by_ffmpeg(b"$\0\0\2ab\nRTSP/1.0 200 OK\n\nRTSP/1.0 302 Found\r\n\r\n") == [200, 302]
