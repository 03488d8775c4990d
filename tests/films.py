"""Films for tests: small real video files whose every picture carries its own number."""

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB

BARS = 10
MS = Fraction(1, 1000)
FLV_HEAD = 13
FLV_VIDEO = 9

Film = Callable[..., Path]


def picture(number: int, size_wh: tuple[int, int]) -> RGB:
    """A picture with `number` written in black and white bars, over a slope that gives codecs work."""
    width, height = size_wh
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(90, 160, height, dtype=np.uint8)[:, None, None]
    for bit in range(BARS):
        left, right = bit * width // BARS, (bit + 1) * width // BARS
        image[height // 4 :, left:right] = 235 if number >> bit & 1 else 20
    return image


def number_in(image: RGB) -> int:
    """The number that `picture` wrote, read from a decoded and resized picture."""
    height, width = image.shape[:2]
    row: NDArray[np.uint8] = image[height * 3 // 4, :, 1]
    middles = [(2 * bit + 1) * width // (2 * BARS) for bit in range(BARS)]
    return sum(1 << bit for bit, x in enumerate(middles) if row[x] > 128)


def shoot(
    file: Path | io.BytesIO,
    *,
    format: str | None = None,
    stamps_ms: Sequence[int] | None = None,
    frames: int = 100,
    size_wh: tuple[int, int] = (320, 240),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    sound: bool = False,
    rate: int = 25,
    noise: int = 0,
    first: int = 0,
) -> None:
    """Encodes numbered pictures; `stamps_ms` are their times, evenly `rate` a second by default.

    The first carries the number `first`. `noise` is how many grey levels a pixel is off at most, to give codecs
    something to do.
    """
    dice = np.random.default_rng(1)
    stamps, tick = (list(range(frames)), Fraction(1, rate)) if stamps_ms is None else (stamps_ms, MS)
    target = str(file) if isinstance(file, Path) else file
    with av.open(target, "w", format=format, container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pixels
        # Several threads take 1.3 times the CPU with H.264 and ten times with VP8, and films are small.
        stream.options = {"g": "50", "threads": "1", **(options or {})}
        stream.codec_context.time_base = tick
        audio = container.add_stream("aac", rate=16_000) if sound else None
        for number, stamp in enumerate(stamps):
            image = picture(first + number, size_wh)
            if noise:
                image = (image // 2 + dice.integers(0, 2 * noise, image.shape, np.uint8)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = stamp, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            container.mux([*audio.encode(hum(16_000)), *audio.encode()])


def shoot_sizes(path: Path, sizes_wh: Sequence[tuple[int, int]], *, frames: int = 50) -> None:
    """One stream of numbered H.264 pictures, `frames` (25 a second) of each size, as of a camera set anew.

    `.ts` describes each size within its pictures, `.flv` beside them.
    """
    if path.suffix == ".flv":
        path.write_bytes(_flv_of_sizes(sizes_wh, frames=frames))
        return
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25)
        (stream.width, stream.height), stream.pix_fmt = sizes_wh[0], "yuv420p"
        number = 0
        for width, height in sizes_wh:
            encoder = av.CodecContext.create("libx264", "w")
            (encoder.width, encoder.height), encoder.pix_fmt = (width, height), "yuv420p"
            encoder.time_base = Fraction(1, 25)
            encoder.options = {"g": "25", "bf": "0", "preset": "ultrafast", "tune": "zerolatency"}
            for _ in range(frames):
                frame = av.VideoFrame.from_ndarray(picture(number, (width, height)), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(_of(stream, encoder.encode(frame)))
                number += 1
            container.mux(_of(stream, encoder.encode(None)))


def _flv_of_sizes(sizes_wh: Sequence[tuple[int, int]], *, frames: int) -> bytes:
    """FLV films put together to one; their marks of the end (a video tag of kind 2) left out."""
    joined = bytearray()
    for place, size_wh in enumerate(sizes_wh):
        file = io.BytesIO()
        options = {"g": "25", "bf": "0", "preset": "ultrafast"}
        shoot(file, format="flv", frames=frames, size_wh=size_wh, options=options, first=place * frames)
        data = file.getvalue()
        joined += b"" if joined else data[:FLV_HEAD]
        for tag in _flv_tags(data):
            stamp_ms = int.from_bytes(tag[4:7], "big") + place * frames * 40
            tag[4:7] = stamp_ms.to_bytes(3, "big")
            joined += b"" if tag[0] == FLV_VIDEO and tag[12] == 2 else tag
    return bytes(joined)


def _flv_tags(data: bytes) -> Iterator[bytearray]:
    start = FLV_HEAD
    while start < len(data):
        end = start + 11 + int.from_bytes(data[start + 1 : start + 4], "big") + 4
        yield bytearray(data[start:end])
        start = end


def _of(stream: Any, packets: Sequence[Any]) -> list[Any]:
    for packet in packets:
        packet.stream = stream
    return list(packets)


def hum(samples: int) -> av.AudioFrame:
    """Some sound."""
    wave = (np.sin(np.arange(samples) / 20) * 8000).astype(np.int16).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
    frame.sample_rate, frame.pts = 16_000, 0
    return frame


def rotate_by_metadata(path: Path) -> None:
    """Writes a quarter turn to the right into an mp4's track header, as phones do."""
    write_matrix(path, (0, 1, -1, 0))


def write_matrix(path: Path, abcd: tuple[float, float, float, float]) -> None:
    """Writes a display matrix into an mp4's track header: x is shown at `a x + c y`, y at `b x + d y`."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (round(value * 0x10000) for value in abcd)
    matrix = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    data[start : start + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(data)


def shoot_dav(path: Path, seconds: Sequence[float], **how: object) -> None:
    """A recording as Dahua's cameras write it: numbered pictures, each with the date and milliseconds of its second."""
    raw = io.BytesIO()
    shoot(raw, format="h264", frames=len(seconds), **{"options": {"g": "25", "bf": "0"}, **how})  # type: ignore[arg-type]
    raw.seek(0)
    with av.open(raw, format="h264") as container, path.open("wb") as file:
        packets = [packet for packet in container.demux() if packet.size]
        for number, (packet, second) in enumerate(zip(packets, seconds, strict=True)):
            file.write(_dav_chunk(number, bytes(packet), second, is_key=packet.is_keyframe))


def _dav_chunk(number: int, data: bytes, second: float, *, is_key: bool) -> bytes:
    moment = datetime(2026, 10, 25, 0, 59, tzinfo=UTC) + timedelta(seconds=second)
    date = (moment.year - 2000) << 26 | moment.month << 22 | moment.day << 17
    date |= moment.hour << 12 | moment.minute << 6 | moment.second
    extras = bytes((0x81, 0, 2, 25))
    length = 24 + len(extras) + len(data) + 8
    kind = bytes((0xFD if is_key else 0xFC, 0, 0, 0))
    milliseconds = round(second * 1000) % 65_536
    clock = struct.pack("<IIIHBB", number, length, date, milliseconds, len(extras), 0)
    return b"DHAV" + kind + clock + extras + data + b"dhav" + struct.pack("<I", length)
