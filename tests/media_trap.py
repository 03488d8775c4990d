"""A web server that nobody may call: it holds a picture, points elsewhere, and writes down who came."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from vigil.frames import encode_jpeg

PICTURE = encode_jpeg(np.full((96, 128, 3), 99, np.uint8), quality=90)


@dataclass(slots=True)
class Trap:
    """Its port, and the paths that were asked for."""

    port: int
    asked: list[str] = field(default_factory=list)


@contextmanager
def media_trap(host: str = "127.0.0.1") -> Iterator[Trap]:
    """`/x.jpg` is a picture, `/to?URL` redirects to URL; everything else is the picture too."""
    trap = Trap(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            trap.asked.append(self.path)
            path, _, target = self.path.partition("?")
            self.send_response(302 if path == "/to" else 200)
            self.send_header("Location", target)
            self.send_header("Content-Type", "image/jpeg")
            body = b"" if path == "/to" else PICTURE
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            """A test's output stays clean."""

    web = ThreadingHTTPServer((host, 0), Handler)
    trap.port = web.server_port
    thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield trap
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
