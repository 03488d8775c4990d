"""A flood of connections that say nothing, while a real camera is lost and must come back in the same process."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from browsing import Site, site_at
from rtsp_server import Running, running
from scripted_server import ScriptedServer
from vigil.frames import decode_jpeg
from waiting import HANG_S, until
from watching import bright_server, film, pictures_in

pytestmark = pytest.mark.e2e

FLOOD = 450
LOG_BYTES = 20_000
"""In a minute, whose lines are counted anew in the next."""

WITH_FEW_FILES = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
os.execv(sys.executable, [sys.executable, "web.py", *sys.argv[2:]])
"""


class Flood:
    """Half-open connections that are dialled anew as soon as they are closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._full = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def rising(self) -> Iterator[None]:
        """It has risen once when the block begins, and goes on until it ends."""
        self._thread.start()
        try:
            assert self._full.wait(HANG_S)
            yield
        finally:
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        held: list[socket.socket] = []
        with ExitStack() as stack:
            stack.callback(lambda: [each.close() for each in held])
            while not self._stop.wait(0.2):
                held = [each for each in held if _is_open(each)]
                held += [each for each in (self._dial() for _ in range(FLOOD - len(held))) if each]
                self._full.set()

    def _dial(self) -> socket.socket | None:
        dialled = socket.socket()
        dialled.settimeout(0.5)
        try:
            dialled.connect(("127.0.0.1", self._port))
            dialled.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        except OSError:
            dialled.close()
            return None
        dialled.setblocking(False)
        return dialled


def _is_open(held: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        try:
            if held.recv(1):
                return True
        except ConnectionError:
            pass
        held.close()
        return False
    return True


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("films") / "door.mp4", seconds=20, bright=[(6, 11)], fps=10)


@pytest.fixture(scope="module")
def upright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera shows when it is back: its pictures are known by their shape."""
    return film(tmp_path_factory.mktemp("films") / "door.mp4", seconds=20, fps=10, size_wh=(96, 128))


@contextmanager
def watching(camera: Running, server: ScriptedServer, folder: Path, descriptors: int) -> Iterator[Site]:
    """The pages, allowed so many files and sockets, while their watch judges what the camera sends."""
    words = ("--model", "tiny", "--task", "fight_en", "--set", f"sources=['{camera.address('door')}']")
    program = ("-c", WITH_FEW_FILES, str(descriptors))
    with site_at(server.url, *words, folder=folder, program=program) as site:
        wait_for_windows(server)
        yield site


def windows(server: ScriptedServer, *, upright: bool) -> int:
    """How many windows of this shape the watch has had judged so far."""
    shapes = [decode_jpeg(shown[-1]).shape for shown in map(pictures_in, server.chats) if shown]
    return sum((height > width) == upright for height, width, _ in shapes)


def wait_for_windows(server: ScriptedServer, *, upright: bool = False) -> None:
    until(lambda: windows(server, upright=upright) >= 3, every_s=0.1)


def ask_from(source: str, site: Site) -> int:
    """The status of the first page, as a visitor at another address gets it."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=HANG_S) as client:
        return client.get(f"{site.url}en/").status_code


@pytest.mark.parametrize("descriptors", [256, 1024])
def test_a_lost_camera_comes_back_and_the_pages_answer_in_a_flood(
    door: Path, upright: Path, tmp_path: Path, descriptors: int
) -> None:
    began_s = time.monotonic()
    with ExitStack() as stack:
        server = stack.enter_context(bright_server())
        camera = stack.enter_context(running(door))
        site = stack.enter_context(watching(camera, server, tmp_path, descriptors))
        stack.enter_context(Flood(urlsplit(site.url).port or 0).rising())
        camera.process.kill()
        camera.process.wait()
        assert ask_from("127.0.0.2", site) == 200
        stack.enter_context(running(upright, port=camera.port))
        wait_for_windows(server, upright=True)
        assert ask_from("127.0.0.2", site) == 200
        assert site.process.poll() is None
        minutes = 1 + (time.monotonic() - began_s) // 60
        assert site.log.stat().st_size < minutes * LOG_BYTES, site.log.read_text(errors="replace")[-3000:]


def test_the_pages_answer_again_where_the_flood_comes_from_once_it_is_over(door: Path, tmp_path: Path) -> None:
    with bright_server() as server, running(door) as camera, watching(camera, server, tmp_path, 256) as site:
        with Flood(urlsplit(site.url).port or 0).rising():
            assert ask_from("127.0.0.2", site) == 200
        assert ask_from("127.0.0.1", site) == 200
