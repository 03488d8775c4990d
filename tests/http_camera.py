"""HTTP cameras for tests: MJPEG, live HLS and plain files from a small real server.

    python tests/http_camera.py 8080 film.mp4

`/live.mjpg` is MJPEG at 10 pictures a second, `/live.m3u8` HLS whose pieces appear as time goes by, `/master.m3u8`
the same in two sizes, `/film.mp4` the file; `/mute` never answers. While `frozen` is set, what is being sent stands
still.
"""

import io
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from films import picture
from vigil.frames import encode_jpeg
from waiting import HANG_S

PIECE_S = 1
SHOWN_PIECES = 3
MJPEG_FPS = 10
MASTER = b"""#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION=320x240
live.m3u8?size=1
#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=640x480
live.m3u8?size=2
"""


def cut_pieces(film: Path, folder: Path) -> list[bytes]:
    """A film as MPEG-TS pieces of a second."""
    with (
        av.open(str(film)) as source,
        av.open(
            str(folder / "film.m3u8"), "w", format="hls", options={"hls_time": str(PIECE_S), "hls_list_size": "0"}
        ) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return [path.read_bytes() for path in sorted(folder.glob("film*.ts"), key=lambda p: int(p.stem[4:]))]


class HttpCamera(ThreadingHTTPServer):
    """Serves one film in every way that cameras do; `requests` counts what was asked for."""

    daemon_threads = True

    def __init__(self, port: int, film: Path) -> None:
        super().__init__(("127.0.0.1", port), Answer)
        self.film = film
        self.started_s = time.monotonic()
        self.frozen = threading.Event()
        self.closing = threading.Event()
        self.requests: Counter[str] = Counter()
        with TemporaryDirectory() as folder:
            self.pieces = cut_pieces(film, Path(folder))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to write about."""

    def address(self, path: str) -> str:
        """An address of this camera."""
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def hold(self) -> None:
        """Waits while the camera is frozen."""
        while self.frozen.is_set() and not self.closing.wait(0.05):
            pass

    def playlist(self) -> bytes:
        """The pieces that there are by now."""
        there = min(len(self.pieces), SHOWN_PIECES + int((time.monotonic() - self.started_s) / PIECE_S))
        first = max(0, there - SHOWN_PIECES)
        head = ("#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{PIECE_S}", f"#EXT-X-MEDIA-SEQUENCE:{first}")
        body = (f"#EXTINF:{PIECE_S}.0,\npiece{number}.ts" for number in range(first, there))
        return "\n".join((*head, *body, "")).encode()


class Answer(BaseHTTPRequestHandler):
    server: HttpCamera

    def log_message(self, format: str, *words: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        name = self.path.partition("?")[0].lstrip("/")
        with suppress(ConnectionError):
            if name == "mute":
                self.server.closing.wait()
            elif name == "live.mjpg":
                self._mjpeg()
            elif name == "live.m3u8":
                self._send(self.server.playlist(), "application/vnd.apple.mpegurl")
            elif name == "master.m3u8":
                self._send(MASTER, "application/vnd.apple.mpegurl")
            elif name == "evil.m3u8":
                self._send(
                    b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n", "application/x-mpegurl"
                )
            elif name == "page":
                self._send(b"<html>It works!</html>", "text/html")
            elif name.startswith("piece"):
                self._send(self.server.pieces[int(name[5:-3])], "video/mp2t")
            elif name == "film.mp4":
                self._send(self.server.film.read_bytes(), "video/mp4")
            else:
                self.send_error(404)

    def _send(self, data: bytes, kind: str) -> None:
        self.server.hold()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _mjpeg(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        started_s, number = time.monotonic(), 0
        while not self.server.closing.wait(max(0.0, started_s + number / MJPEG_FPS - time.monotonic())):
            self.server.hold()
            jpeg = encode_jpeg(picture(number % 1024, (320, 240)), quality=80)
            part = io.BytesIO()
            part.write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
            self.wfile.write(part.getvalue() + jpeg + b"\r\n")
            number += 1


@contextmanager
def serving(film: Path, port: int = 0) -> Iterator[HttpCamera]:
    """A camera until the end of the `with`."""
    camera = HttpCamera(port, film)
    thread = threading.Thread(target=camera.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield camera
    finally:
        camera.closing.set()
        camera.shutdown()
        camera.server_close()
        thread.join(HANG_S)


@contextmanager
def running(film: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Runs the camera as a process of its own until the end of the `with`; gives it and its port."""
    paths = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, __file__, str(port), str(film)]
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().split()[1])
        finally:
            process.kill()


def main() -> None:
    with serving(Path(sys.argv[2]), int(sys.argv[1])) as camera:
        print("ready", camera.server_address[1], flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
