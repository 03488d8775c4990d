"""A camera that a visitor named is asked where it was allowed, and nowhere else: real servers, read by FFmpeg."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import http_camera
import odd_camera
import odd_mjpeg
from films import shoot
from live_seeing import UNHURRIED
from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.hosts import parse_address
from vigil.sources.address import Address, find_sources
from vigil.sources.capture import CaptureSettings
from vigil.sources.confined_http import ConfinedHttp
from vigil.sources.network import NetworkCamera
from waiting import HANG_S

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
SOON = CaptureSettings(open_timeout_s=3.0, read_timeout_s=2.0, hls_timeout_s=3.0)


class Leading(ThreadingHTTPServer):
    """A camera that sends whoever asks to `elsewhere`; `asked` is what was asked for, with its login."""

    daemon_threads = True

    def __init__(self, elsewhere: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.elsewhere = elsewhere
        self.asked: list[tuple[str, str]] = []

    def address(self, path: str, *, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_address[1]}/{path}"


class Answer(BaseHTTPRequestHandler):
    server: Leading

    def log_message(self, format: str, *words: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        target = f"{self.server.elsewhere}/piece0.ts"
        lists = {
            "/redirect": "",
            "/piece.m3u8": f"{HEAD}#EXTINF:1,\n{target}\n",
            "/key.m3u8": f'{HEAD}#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\nown.ts\n',
            "/map.m3u8": f'{HEAD}#EXT-X-MAP:URI="{target}"\n#EXTINF:1,\nown.ts\n',
            "/master.m3u8": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}.m3u8\n",
            "/jumping.m3u8": f"{HEAD}#EXTINF:1,\nredirect\n",
        }
        if self.path in ("/basic", "/digest"):
            self._ask_for_login()
        elif self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
        else:
            body = lists.get(self.path, "#").encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _ask_for_login(self) -> None:
        kind = self.path.removeprefix("/").title()
        said = self.headers.get("Authorization", "")
        self.send_response(200 if said.startswith(kind) else 401)
        if not said.startswith(kind):
            self.send_header("WWW-Authenticate", f'{kind} realm="camera", nonce="0a4f113b", qop="auth"')
        self.end_headers()


@contextmanager
def running(server: Leading) -> Iterator[Leading]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(HANG_S)


def read(word: str, *, confined: bool, frames: int = 1, settings: CaptureSettings = SOON) -> list[Frame]:
    """The first frames of a camera; raises SourceError when they do not come."""
    address = replace(find_sources([word])[0], confined=confined)
    camera = NetworkCamera(address, FrameSampling(fps=4), stop=threading.Event(), settings=settings)
    seen: list[Frame] = []
    for signal in camera.session(started_s=0.0):
        seen += [signal] if isinstance(signal, Frame) else []
        if len(seen) == frames:
            break
    return seen


@pytest.mark.parametrize(
    "path", ["redirect", "piece.m3u8", "key.m3u8", "map.m3u8", "master.m3u8", "jumping.m3u8", "redirect?x.m3u8"]
)
def test_what_leads_elsewhere_is_not_followed_for_a_visitor(path: str) -> None:
    with running(Leading()) as spy, running(Leading(spy.address("").rstrip("/"))) as camera:
        with pytest.raises(SourceError):
            read(camera.address(path), confined=True)
        assert camera.asked
        assert spy.asked == []


@pytest.mark.parametrize("path", ["redirect", "piece.m3u8"])
def test_the_operators_own_camera_may_lead_on(path: str) -> None:
    with running(Leading()) as spy, running(Leading(spy.address("").rstrip("/"))) as camera:
        with pytest.raises(SourceError):
            read(camera.address(path), confined=False)
        assert spy.asked


@pytest.mark.parametrize("path", ["live.mjpg", "live.m3u8", "master.m3u8"])
def test_what_stays_at_its_own_host_is_watched(tmp_path: Path, path: str) -> None:
    shoot(tmp_path / "yard.mp4", frames=250, options={"g": "25", "bf": "0", "preset": "ultrafast"})
    with http_camera.serving(tmp_path / "yard.mp4") as camera:
        assert len(read(camera.address(path), confined=True, frames=3, settings=UNHURRIED)) == 3


def test_pictures_that_only_browsers_accept_are_watched_there_too() -> None:
    with odd_camera.serving({"/video": odd_mjpeg.sending(odd_mjpeg.STYLES["image/jpg"])}) as camera:
        assert len(read(camera.address("video"), confined=True, frames=3, settings=UNHURRIED)) == 3


def test_what_is_asked_of_a_camera_with_a_secret_stands_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "-".join(("hunter", "2"))  # in pieces, as a logged traceback shows lines of this file
    shoot(tmp_path / "yard.mp4", frames=100, options={"g": "25", "bf": "0", "preset": "ultrafast"})
    with http_camera.serving(tmp_path / "yard.mp4") as camera, caplog.at_level(logging.DEBUG):
        address = camera.address(f"live.m3u8?jwt={secret}").replace("//", f"//admin:{secret}@")
        assert read(address, confined=True, settings=UNHURRIED)
        with pytest.raises(SourceError) as refused:
            read(camera.address(f"{secret}/nowhere?s={secret}"), confined=True)
    said = capfd.readouterr()
    assert secret not in caplog.text + str(refused.value) + said.out + said.err


@pytest.mark.parametrize("kind", ["basic", "digest"])
def test_a_login_is_given_as_the_camera_asks_for_it(kind: str) -> None:
    with running(Leading()) as camera:
        parts = parse_address(camera.address(kind, login="admin:p%40ss@"))
        ConfinedHttp(parts, open_s=HANG_S, read_timeout_s=HANG_S).open(camera.address(kind), 1, {}).close()
    said = [login for _, login in camera.asked]
    assert said[0] == ""
    assert said[-1].startswith(kind.title())


def test_another_port_scheme_or_host_is_refused_by_name() -> None:
    http = ConfinedHttp(parse_address("http://127.0.0.1:9/"), open_s=1, read_timeout_s=1)
    for url in ("http://127.0.0.1:10/", "https://127.0.0.1:9/", "http://127.0.0.2:9/", "http://localhost:9/"):
        with pytest.raises(SourceError, match="leads elsewhere, to"):
            http.open(url, 1, {})
    with pytest.raises(SourceError, match="leads to an address that"):
        http.open("file:///etc/passwd", 1, {})


def test_a_camera_is_not_confined_unless_said() -> None:
    assert not Address("stream", "x", "rtsp://x/").confined
