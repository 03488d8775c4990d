"""An RTSP connection for FFmpeg that is confined to one camera: a relay on this machine that lets no redirect through.

FFmpeg follows `3xx` answers of an RTSP server to any address, and has no option against it. So for a camera that a
visitor named it connects to an `RtspRelay`, which dials the camera's checked address, passes everything on to the
camera, and of what the camera sends only what is RTSP: each header anew from its checked lines, so that FFmpeg reads
in it what was checked.

    with closing(RtspRelay(camera, open_s=5.0)) as relay:
        container = av.open(relay.location)
"""

import asyncio
import os
import re
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from vigil.errors import SourceError
from vigil.hosts import HostPort, NetworkAddress
from vigil.sources.address import PORTS
from vigil.sources.dialling import Resolver, checked_address, system_resolver

LOOPBACK = "127.0.0.1"

INTERLEAVED = b"$"
"""The first byte of a packet of media; a channel (1 byte), a length (2 bytes) and so many bytes follow (RFC 2326)."""

CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f]")
"""What separates words for one reader and not for another, such as a vertical tab."""

LONGEST_LINE = 8192
MOST_LINES = 200
LONGEST_BODY = 1 << 20
BUFFER_BYTES = 65_536

REDIRECTS = "it leads elsewhere (a redirect): not followed for a visitor's camera"


@dataclass(frozen=True, slots=True)
class RtspHeader:
    """The lines of a header without their ends, the first of them the status line; `body_bytes` follow it."""

    lines: tuple[bytes, ...]
    body_bytes: int

    @classmethod
    def parse(cls, lines: tuple[bytes, ...]) -> "RtspHeader":
        """Checks the lines of a header. Raises SourceError for a redirect and for what is not RTSP."""
        words = lines[0].split()
        if not words or any(CONTROL.search(line) for line in lines):
            raise SourceError("it does not speak RTSP")
        if words[0].startswith(b"RTSP/"):
            if len(words) < 2 or len(words[1]) != 3 or not words[1].isdigit():
                raise SourceError("it does not speak RTSP: an answer has no status")
            if words[1].startswith(b"3"):
                raise SourceError(REDIRECTS)
        named = [line.partition(b":")[2].strip() for line in lines[1:] if _name_of(line) == b"content-length"]
        if len(named) > 1 or (named and not (named[0].isdigit() and int(named[0]) <= LONGEST_BODY)):
            raise SourceError("it does not speak RTSP: an answer has no proper length")
        return cls(lines, int(named[0]) if named else 0)

    @property
    def wire(self) -> bytes:
        """The header as it is sent on."""
        return b"\r\n".join(self.lines) + b"\r\n\r\n"


def _name_of(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


async def pass_on(camera: asyncio.StreamReader, send: Callable[[bytes], Awaitable[None]]) -> None:
    """Passes on what a camera says until it ends: packets of media and checked headers with their bodies.

    Raises SourceError for a redirect and for what is not RTSP; nothing of that is passed on.
    """
    with suppress(asyncio.IncompleteReadError):
        while True:
            first = await camera.readexactly(1)
            if first == INTERLEAVED:
                await send(first + await _packet(camera))
            elif first not in b"\r\n":
                header = RtspHeader.parse(await _lines(first, camera))
                await send(header.wire + await camera.readexactly(header.body_bytes))


async def _packet(camera: asyncio.StreamReader) -> bytes:
    head = await camera.readexactly(3)
    return head + await camera.readexactly(int.from_bytes(head[1:], "big"))


async def _lines(first: bytes, camera: asyncio.StreamReader) -> tuple[bytes, ...]:
    """The lines up to the empty one; a packet of media between two of them, which nobody sends, is not RTSP here."""
    lines: list[bytes] = []
    while len(lines) < MOST_LINES:
        line = (first + await _line(camera)).replace(b"\r", b"")
        first = b""
        if line.startswith(INTERLEAVED):
            break
        if not line:
            return tuple(lines)
        lines.append(line)
    raise SourceError("it does not speak RTSP: an answer does not end")


async def _line(camera: asyncio.StreamReader) -> bytes:
    try:
        line = await camera.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise SourceError("it does not speak RTSP: a line does not end") from error
    if len(line) > LONGEST_LINE:
        raise SourceError("it does not speak RTSP: a line is too long")
    return line.removesuffix(b"\n")


class RtspRelay:
    """A relay to one camera for one connection of FFmpeg, in a thread of its own; connects at once.

    `open_s` limits connecting. A certificate is verified with those in `ca_file` (PEM); without it it is not, as
    cameras usually sign their own. `location` is what FFmpeg opens; it may contain a password. `problem` says why the
    relay broke off, if it did. Raises SourceError if the camera cannot be reached.
    """

    def __init__(
        self, camera: NetworkAddress, *, open_s: float, ca_file: str = "", resolve: Resolver = system_resolver
    ) -> None:
        port = camera.port or PORTS[camera.scheme]
        self._dialled = HostPort(checked_address(camera.host, port, resolve=resolve), port)
        self._host = camera.host
        self._tls = _tls(ca_file) if camera.scheme == "rtsps" else None
        self._open_s = open_s
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        own_port: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(own_port,), name=f"relay to {self._host}", daemon=True)
        self._thread.start()
        self.problem = ""
        self.location = replace(camera, scheme="rtsp", host=LOOPBACK, port=own_port.result()).location

    def close(self) -> None:
        """Ends the connection."""
        # The loop may have ended, as the connection has.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self, own_port: "Future[int]") -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve(own_port))
            except SourceError as error:
                own_port.set_exception(error)

    async def _serve(self, own_port: "Future[int]") -> None:
        camera, to_camera = await self._connect()
        try:
            talk = partial(self._talk, camera, to_camera)
            async with await asyncio.start_server(talk, LOOPBACK, 0, backlog=1) as listener:
                own_port.set_result(listener.sockets[0].getsockname()[1])
                await self._closing.wait()
        finally:
            to_camera.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._open_s):
                return await asyncio.open_connection(
                    self._dialled.host,
                    self._dialled.port,
                    limit=BUFFER_BYTES,
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except TimeoutError as error:
            raise SourceError(f"no pictures for {self._open_s:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise SourceError(f"its certificate is not trusted: {error.verify_message}") from error
        except OSError as error:
            raise SourceError(os.strerror(error.errno) if error.errno else "it cannot be reached") from error

    async def _talk(
        self,
        camera: asyncio.StreamReader,
        to_camera: asyncio.StreamWriter,
        player: asyncio.StreamReader,
        to_player: asyncio.StreamWriter,
    ) -> None:
        """Passes on what both sides say until one of them ends."""
        asking = asyncio.create_task(_copy(player, to_camera))
        answering = asyncio.create_task(pass_on(camera, partial(_send, to_player)))
        try:
            await asyncio.wait({asking, answering}, return_when=asyncio.FIRST_COMPLETED)
            if answering.done() and isinstance(error := answering.exception(), SourceError):
                self.problem = str(error)
        finally:
            asking.cancel()
            answering.cancel()
            # What the camera said last, such as that the password is wrong, still arrives.
            to_player.close()
            self._closing.set()


def _tls(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    if not ca_file:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _copy(player: asyncio.StreamReader, to_camera: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await player.read(BUFFER_BYTES):
            await _send(to_camera, piece)


async def _send(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(piece)
    await writer.drain()
