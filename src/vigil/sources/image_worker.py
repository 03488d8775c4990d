"""Decodes untrusted files in a separate process, one file at a time.

    worker().read_image(path, max_pixels=589_824)

The process (`image_worker_process`) is reused, since starting one costs a quarter of a second of CPU time, and ends
after `IDLE_S` without work. If it is killed, runs out of memory or times out, that file raises SourceError and the
next one gets a new process.
"""

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vigil.errors import SourceError
from vigil.frames import PIXEL_MULTIPLE, RGB
from vigil.sources.images import FORMATS, MAX_PIXELS
from vigil.sources.media_content import MediaContent

DEADLINE_S = 30.0
"""Time limit for one file, allowing for a busy machine; the process itself may use 20 s of CPU time."""

TURN_S = 60.0
"""How long a file waits for the process before it is refused."""

IDLE_S = 60.0
HEAD_BYTES = 64 * 1024
MAX_REASON_CHARS = 1000
MAX_IMAGE_BYTES = 3 * MAX_PIXELS
PASSED_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR")
"""The environment variables passed on to the process; secrets such as API keys are not."""

FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
COMMAND = (sys.executable, "-m", "vigil.sources.image_worker_process")


class ImageWorker:
    """Manages one decoding process. Thread-safe; files are decoded one at a time."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, turn_s: float = TURN_S, idle_s: float = IDLE_S) -> None:
        self._deadline_s = deadline_s
        self._turn_s = turn_s
        self._idle_s = idle_s
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    @property
    def pid(self) -> int | None:
        """The id of the current process; None if there is none."""
        child = self._child
        return None if child is None else child.pid

    def read_image(
        self,
        path: Path,
        *,
        max_pixels: int | None,
        pixel_multiple: int = PIXEL_MULTIPLE,
        most_pixels: int = MAX_PIXELS,
    ) -> RGB:
        """Like `vigil.sources.images.read_image`, for a file; raises SourceError."""
        limits = {"max_pixels": max_pixels, "pixel_multiple": pixel_multiple, "most_pixels": most_pixels}
        request = {"do": "read", "path": str(path), **limits}
        head, data = self._request(request, Path(path))
        return np.frombuffer(data, np.uint8).reshape(head["shape"])

    def inspect(self, path: Path) -> MediaContent:
        """Like `vigil.sources.media_content.inspect_content`; raises SourceError."""
        head, _ = self._request({"do": "inspect", "path": str(path)}, Path(path))
        kind, format = head.get("kind"), head.get("format")
        if kind == "picture" and isinstance(format, str) and format in FORMATS:
            return MediaContent(kind="picture", format=format)
        return MediaContent(kind="video", codec=str(head.get("codec")))

    def close(self) -> None:
        """Ends the process; the next file starts a new one."""
        with self._turn:
            self._end()

    def _request(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytearray]:
        if not self._turn.acquire(timeout=self._turn_s):
            raise SourceError(f"too many files are waiting before {path}; send it again in a moment")
        try:
            return self._response(request, path)
        finally:
            self._turn.release()

    def _response(self, request: dict[str, Any], path: Path) -> tuple[dict[str, Any], bytearray]:
        if self._idle is not None:
            self._idle.cancel()
        child = self._running()
        try:
            head, data = _exchange(child, json.dumps(request).encode() + b"\n", deadline_s=self._deadline_s)
        except TimeoutError as error:
            self._end()
            raise SourceError(f"{path} could not be decoded in {self._deadline_s:g} s; make it smaller") from error
        except (OSError, ValueError, TypeError, AttributeError, EOFError) as error:
            self._end()
            raise SourceError(
                f"{path} could not be decoded: the decoding process ended (out of memory or time, or the file is "
                "malicious)"
            ) from error
        self._start_idle_timer()
        if "error" in head:
            raise SourceError(str(head["error"])[:MAX_REASON_CHARS])
        return head, data

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            variables = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
            self._child = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables | FEW_THREADS, bufsize=0
            )
        return self._child

    def _start_idle_timer(self) -> None:
        self._idle = threading.Timer(self._idle_s, self._end_if_idle)
        self._idle.daemon = True
        self._idle.start()

    def _end_if_idle(self) -> None:
        """Does nothing while a file is being decoded."""
        if self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _exchange(child: subprocess.Popen[bytes], request: bytes, *, deadline_s: float) -> tuple[dict[str, Any], bytearray]:
    """Sends a request line and returns the response; raises TimeoutError, EOFError, or what `read_response` raises."""
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(request)
    until_s = time.monotonic() + deadline_s
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)

        def more(most_bytes: int) -> bytes:
            if not selector.select(max(0.0, until_s - time.monotonic())):
                raise TimeoutError
            part = os.read(child.stdout.fileno(), most_bytes)  # type: ignore[union-attr]
            if not part:
                raise EOFError
            return part

        return read_response(more)


def read_response(more: Callable[[int], bytes]) -> tuple[dict[str, Any], bytearray]:
    """Reads a response, head and image bytes; `more(n)` returns its next bytes, at most n.

    Raises ValueError, TypeError or AttributeError if it is malformed: the process may be compromised.
    """
    read = bytearray()
    while b"\n" not in read:
        read += more(HEAD_BYTES)
        if len(read) > HEAD_BYTES and b"\n" not in read[:HEAD_BYTES]:
            raise ValueError("no head")
    line, _, rest = read.partition(b"\n")
    head = json.loads(line)
    height, width, colours = head.get("shape", (0, 0, 3))
    length = int(height) * int(width) * int(colours)
    if colours != 3 or not len(rest) <= length <= MAX_IMAGE_BYTES:
        raise ValueError("no picture")
    data = bytearray(length)
    data[: len(rest)] = rest
    filled = len(rest)
    while filled < length:
        part = more(length - filled)
        data[filled : filled + len(part)] = part
        filled += len(part)
    return head, data


@cache
def worker() -> ImageWorker:
    """Returns the worker shared by the whole program, so that all uploads together use the memory of one decoding."""
    made = ImageWorker()
    atexit.register(made.close)
    return made
