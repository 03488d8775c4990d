"""An RTSP camera for tests: plays H.264 files in a loop, over the RTSP connection itself, and misbehaves on request.

    python tests/rtsp_server.py 8554 yard.mp4 door.mp4 [--silent-after S] [--drop-after S] [--mute]

`rtsp://127.0.0.1:8554/door` plays `door.mp4`, any other path the first file; port 0 takes a free one. As a process
of its own (`running`) it can be killed and frozen as a camera's power and network can.
"""

import argparse
import asyncio
import base64
import random
import re
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import av

RTP_PAYLOAD = 1400
RTP_HZ = 90_000
PUBLIC = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
START_CODES = re.compile(b"\x00\x00\x00\x01|\x00\x00\x01")


@dataclass(frozen=True)
class Conduct:
    """How the camera behaves: seconds after which it goes silent or hangs up, the password it asks for, its clock.

    `mute` accepts connections and never says a word. `join_s` is the second of the film that whoever asks first gets to
    see, be it a key picture or not. `clock` is how fast the stamps run (1 is true, 0 stands still);
    `clock_jump` is (after seconds, by seconds).
    """

    silent_after_s: float | None = None
    drop_after_s: float | None = None
    mute: bool = False
    join_s: float = 0.0
    login: str = ""
    clock: float = 1.0
    clock_jump: tuple[float, float] | None = None

    def stamp_s(self, time_s: float) -> float:
        """What the camera claims the time is."""
        jump_s = self.clock_jump[1] if self.clock_jump and time_s >= self.clock_jump[0] else 0.0
        return time_s * self.clock + jump_s


@dataclass(frozen=True)
class Recording:
    """A file as access units: (when it is sent, when it is shown, its NAL units)."""

    units: list[tuple[float, float, list[bytes]]]
    length_s: float

    @property
    def sdp(self) -> str:
        """What DESCRIBE answers."""
        sps = next(nal for nal in self.units[0][2] if nal[0] & 31 == 7)
        pps = next(nal for nal in self.units[0][2] if nal[0] & 31 == 8)
        sets = f"{base64.b64encode(sps).decode()},{base64.b64encode(pps).decode()}"
        lines = (
            *("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"),
            *("m=video 0 RTP/AVP 96", f"a=rtpmap:96 H264/{RTP_HZ}"),
            f"a=fmtp:96 packetization-mode=1;profile-level-id={sps[1:4].hex()};sprop-parameter-sets={sets}",
            "a=control:track1",
        )
        return "".join(f"{line}\r\n" for line in lines)


def load(path: Path) -> Recording:
    """Reads an H.264 file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        to_units = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        tick_s = float(stream.time_base or 0)
        first: int | None = None
        units: list[tuple[float, float, list[bytes]]] = []
        for packet in container.demux(stream):
            # The filter empties the packets it is given.
            dts, pts = packet.dts, packet.pts
            if dts is None or pts is None:
                continue
            first = dts if first is None else first
            nals = [unit for part in to_units.filter(packet) for unit in split(bytes(part))]
            units.append(((dts - first) * tick_s, (pts - first) * tick_s, nals))
        return Recording(units, units[-1][0] + 1 / float(stream.average_rate or 25))


def split(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B packet."""
    return [unit for unit in START_CODES.split(data) if unit]


@dataclass
class Sender:
    """Sends access units as RTP inside an RTSP connection."""

    writer: asyncio.StreamWriter
    channel: int
    sequence: int = field(default_factory=lambda: random.randrange(1 << 16))
    ssrc: int = field(default_factory=lambda: random.randrange(1 << 32))

    def send(self, nals: Sequence[bytes], stamp_s: float) -> None:
        """Sends one access unit, large NAL units in fragments."""
        stamp = int(stamp_s * RTP_HZ) & 0xFFFFFFFF
        for number, nal in enumerate(nals):
            parts = [nal] if len(nal) <= RTP_PAYLOAD else list(fragments(nal))
            for part_number, part in enumerate(parts):
                last = number == len(nals) - 1 and part_number == len(parts) - 1
                self._packet(part, stamp, marked=last)

    def _packet(self, payload: bytes, stamp: int, *, marked: bool) -> None:
        head = struct.pack("!BBHII", 0x80, 96 | 0x80 * marked, self.sequence, stamp, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        frame = struct.pack("!cBH", b"$", self.channel, len(head) + len(payload))
        self.writer.write(frame + head + payload)


def fragments(nal: bytes) -> Iterator[bytes]:
    """A NAL unit as FU-A fragments."""
    size = RTP_PAYLOAD - 2
    for start in range(1, len(nal), size):
        first, last = start == 1, start + size >= len(nal)
        mark = 0x80 * first | 0x40 * last
        yield bytes([nal[0] & 0xE0 | 28, nal[0] & 31 | mark]) + nal[start : start + size]


class RtspServer:
    """Plays recordings to whoever asks; the first one on paths that name no other."""

    def __init__(self, files: Sequence[Path], conduct: Conduct, *, tls: ssl.SSLContext | None = None) -> None:
        self.conduct = conduct
        self.tls = tls
        self.recordings = {path.stem: load(path) for path in files}

    async def serve(self, port: int) -> None:
        """Serves until cancelled; prints `ready PORT` first."""
        server = await asyncio.start_server(self._client, "127.0.0.1", port, ssl=self.tls)
        print("ready", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        try:
            if self.conduct.mute:
                await reader.read()
            sender = Sender(writer, 0)
            while (request := await read_request(reader)).method != "TEARDOWN":
                self._answer(request, sender)
                if request.method == "PLAY" and playing is None:
                    playing = asyncio.create_task(self._play(sender, self._recording(request.url)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
            writer.close()

    def _recording(self, url: str) -> Recording:
        named = [recording for name, recording in self.recordings.items() if f"/{name}" in url]
        return named[0] if named else next(iter(self.recordings.values()))

    def _answer(self, request: "Request", sender: Sender) -> None:
        status, extra, body = self._reply(request, sender)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        extra = f"{extra}\r\n" if extra else ""
        head = f"RTSP/1.0 {status}\r\nCSeq: {request.headers.get('cseq', 0)}\r\nSession: 12345678;timeout=60\r\n"
        sender.writer.write(f"{head}{extra}{length}\r\n{body}".encode())

    def _reply(self, request: "Request", sender: Sender) -> tuple[str, str, str]:
        """The status, a header and the body of an answer."""
        if not self._may(request):
            return "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"', ""
        if request.method == "DESCRIBE":
            extra = f"Content-Base: {request.url}/\r\nContent-Type: application/sdp"
            return "200 OK", extra, self._recording(request.url).sdp
        if request.method == "SETUP":
            channel = re.search(r"interleaved=(\d+)-", request.headers.get("transport", ""))
            if channel is None:
                return "461 Unsupported Transport", "", ""
            sender.channel = int(channel[1])
            transport = f"RTP/AVP/TCP;unicast;interleaved={sender.channel}-{sender.channel + 1}"
            return "200 OK", f"Transport: {transport}", ""
        return "200 OK", {"OPTIONS": PUBLIC, "PLAY": "Range: npt=0.000-"}.get(request.method, ""), ""

    def _may(self, request: "Request") -> bool:
        wanted = base64.b64encode(self.conduct.login.encode()).decode()
        given = request.headers.get("authorization", "")
        return not self.conduct.login or request.method == "OPTIONS" or given == f"Basic {wanted}"

    async def _play(self, sender: Sender, recording: Recording) -> None:
        started_s = time.monotonic() - self.conduct.join_s
        for round_number in range(1_000_000):
            for sent_s, shown_s, nals in recording.units:
                base_s = round_number * recording.length_s
                if base_s + sent_s < self.conduct.join_s:
                    continue
                await asyncio.sleep(max(0.0, started_s + base_s + sent_s - time.monotonic()))
                await self._misbehave(sender, time.monotonic() - started_s - self.conduct.join_s)
                if sender.writer.is_closing():
                    return
                sender.send(nals, self.conduct.stamp_s(base_s + shown_s))
                await sender.writer.drain()

    async def _misbehave(self, sender: Sender, elapsed_s: float) -> None:
        silent_s, drop_s = self.conduct.silent_after_s, self.conduct.drop_after_s
        if silent_s is not None and elapsed_s >= silent_s:
            await asyncio.Event().wait()
        if drop_s is not None and elapsed_s >= drop_s:
            sender.writer.transport.abort()
            raise asyncio.CancelledError


@dataclass(frozen=True)
class Request:
    method: str
    url: str
    headers: dict[str, str]


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request; what the client sends as RTCP is thrown away."""
    while (first := await reader.readexactly(1)) == b"$":
        _, length = struct.unpack("!BH", await reader.readexactly(3))
        await reader.readexactly(length)
    lines = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
    method, url, *_ = lines[0].split()
    fields = (line.partition(":") for line in lines[1:] if ":" in line)
    headers = {key.strip().lower(): value.strip() for key, _, value in fields}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, url, headers)


@dataclass(frozen=True)
class Running:
    """A camera in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def address(self, path: str = "live", *, login: str = "") -> str:
        """An address of this camera."""
        return f"rtsp://{login}{'@' if login else ''}127.0.0.1:{self.port}/{path}"


@contextmanager
def running(*files: Path, port: int = 0, options: Sequence[str] = ()) -> Iterator[Running]:
    """Runs the server as a process until the end of the `with`, however it was treated there."""
    command = [sys.executable, __file__, str(port), *map(str, files), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline().split()
            yield Running(process, int(ready[1]))
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description="An RTSP camera for tests.")
    parser.add_argument("port", type=int)
    parser.add_argument("files", type=Path, nargs="+", help="H.264 videos; the path of an address names one")
    parser.add_argument("--silent-after", type=float, help="go silent after so many seconds, but hold the connection")
    parser.add_argument("--drop-after", type=float, help="hang up after so many seconds")
    parser.add_argument("--tls", type=Path, help="a file with a certificate and its key: serve rtsps")
    parser.add_argument("--mute", action="store_true", help="accept connections and never answer")
    parser.add_argument("--join", type=float, default=0.0, help="begin at this second of the film, key picture or not")
    parser.add_argument("--login", default="", help="USER:PASSWORD to ask for")
    parser.add_argument("--clock", type=float, default=1.0, help="how fast the stamps run; 0 stands still")
    parser.add_argument("--clock-jump", type=float, nargs=2, metavar=("AFTER_S", "BY_S"))
    words = parser.parse_args()
    conduct = Conduct(
        silent_after_s=words.silent_after,
        drop_after_s=words.drop_after,
        mute=words.mute,
        join_s=words.join,
        login=words.login,
        clock=words.clock,
        clock_jump=None if words.clock_jump is None else (words.clock_jump[0], words.clock_jump[1]),
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if words.tls else None
    if tls is not None:
        tls.load_cert_chain(words.tls)
    asyncio.run(RtspServer(words.files, conduct, tls=tls).serve(words.port))


if __name__ == "__main__":
    main()
