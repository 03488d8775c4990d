"""HTTP cameras for tests that answer in ways of their own: real servers on loopback, scripted by each test.

with serving({"/live.m3u8": told(PLAYLIST, "application/x-mpegurl")}) as camera:
    watch(camera.address("live.m3u8"))
"""

import itertools
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av

from waiting import HANG_S

Answer = Callable[["Asked"], None]


class OddCamera(ThreadingHTTPServer):
    """Answers paths (without their queries) as told; `requests` counts what was asked for, queries and all."""

    daemon_threads = True

    def __init__(self, answers: Mapping[str, Answer], *, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers = dict(answers)
        self.requests: Counter[str] = Counter()
        self.closing = threading.Event()
        self.scheme = "https" if tls else "http"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to write about."""

    def address(self, path: str, *, host: str = "127.0.0.1") -> str:
        """An address of this camera."""
        return f"{self.scheme}://{host}:{self.server_address[1]}/{path}"


class Asked(BaseHTTPRequestHandler):
    """One request; `say` begins an answer, `wfile` takes the rest."""

    server: OddCamera

    def log_message(self, format: str, *words: object) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self.server.requests[self.path] += 1
        answer = self.server.answers.get(self.path.partition("?")[0])
        with suppress(OSError):
            self.send_error(404) if answer is None else answer(self)

    def say(self, kind: str, *, length: int | None = None) -> None:
        self.send_response(200)
        if kind:
            self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def sleep_until(self, at_s: float) -> bool:
        """Waits for a second of `time.monotonic()`; False when the camera closes meanwhile."""
        return not self.server.closing.wait(max(0.0, at_s - time.monotonic()))


@contextmanager
def serving(answers: Mapping[str, Answer], *, tls: ssl.SSLContext | None = None) -> Iterator[OddCamera]:
    """A camera until the end of the `with`."""
    camera = OddCamera(answers, tls=tls)
    thread = threading.Thread(target=camera.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield camera
    finally:
        camera.closing.set()
        camera.shutdown()
        camera.server_close()
        thread.join(HANG_S)


def told(body: bytes, kind: str = "") -> Answer:
    """An answer that is there at once."""

    def answer(asked: Asked) -> None:
        asked.say(kind, length=len(body))
        asked.wfile.write(body)

    return answer


def playing(film: Path, *, from_s: float) -> Answer:
    """An MPEG-TS or FLV file sent at its own pace from a second on, be it a key picture or not."""
    packets, data = packets_of(film), film.read_bytes()

    def answer(asked: Asked) -> None:
        asked.say("")
        asked.wfile.write(data[: packets[0][1]])
        started_s = time.monotonic() - from_s
        for (time_s, start), (_, end) in itertools.pairwise(packets):
            if time_s >= from_s and asked.sleep_until(started_s + time_s):
                asked.wfile.write(data[start:end])

    return answer


def packets_of(film: Path) -> Sequence[tuple[float, int]]:
    """When each picture of a file is shown, and where in the file it begins."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        packets = [(p.pts, p.pos) for p in container.demux(stream) if p.size and p.pts is not None]
        return [(float((pts - packets[0][0]) * (stream.time_base or 0)), pos or 0) for pts, pos in packets]
