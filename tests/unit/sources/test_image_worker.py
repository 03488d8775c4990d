"""What strangers send: the worst pictures and videos, decoded by a real process whose memory is looked at."""

import os
import resource
import signal
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vigil.errors import SourceError
from vigil.sources import image_worker
from vigil.sources.image_worker import ImageWorker
from vigil.sources.images import read_image
from waiting import until
from watching import film

SIDE = 5000
"""25 megapixels: the most that is decoded."""

MB = 1024
PROGRAM_MB = 130
"""The process with its libraries; what it takes beside is for the picture."""


@pytest.fixture
def worker() -> Iterator[ImageWorker]:
    made = ImageWorker()
    yield made
    made.close()


def peak_mb(worker: ImageWorker) -> float:
    """The most that the process has ever held."""
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / MB


def own_peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB


def png(path: Path, side: int, *, depth: int, colour: int, extra: bytes = b"") -> Path:
    """A PNG of zeros, made without ever holding its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    packer, row = zlib.compressobj(1), bytes(1 + side * channels * depth // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack("!IIBBBBB", side, side, depth, colour, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def saved(path: Path, mode: str, format: str, **how: object) -> Path:
    Image.new(mode, (SIDE, SIDE), 7 if mode in "LP" else None).save(path, format, **how)
    return path


def largest(folder: Path, kind: str) -> Path:
    """The largest picture of a kind that is let through."""
    path = folder / kind
    if kind == "grey 16":
        return png(path, SIDE, depth=16, colour=0)
    if kind == "rgba 16":
        return png(path, SIDE, depth=16, colour=6)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        return saved(path, "RGB", "JPEG", exif=exif)
    if kind == "progressive":
        return saved(path, "CMYK", "JPEG", progressive=True, subsampling=0)
    if kind == "webp":
        return saved(path, "RGBA", "WEBP", lossless=True, quality=0, method=0)
    return saved(path, "P", "GIF")


@pytest.mark.parametrize("kind", ["grey 16", "rgba 16", "turned", "progressive", "webp", "gif"])
def test_the_largest_picture_of_each_kind_is_read_within_its_memory(
    worker: ImageWorker, tmp_path: Path, kind: str
) -> None:
    path = largest(tmp_path, kind)
    assert worker.inspect(path).kind == "picture"
    own_mb = own_peak_mb()
    assert worker.read_image(path, max_pixels=200_000).ndim == 3
    assert own_peak_mb() - own_mb < 50
    print(f"{kind}: {peak_mb(worker):.0f} MB in {path.stat().st_size:,} bytes", end="; ")
    assert peak_mb(worker) < PROGRAM_MB + 500


@pytest.mark.parametrize(("side", "depth", "colour"), [(10_000, 16, 0), (5001, 8, 2), (16_000, 8, 6), (30_000, 1, 0)])
def test_a_picture_of_more_pixels_is_refused_before_it_is_decoded(
    worker: ImageWorker, tmp_path: Path, side: int, depth: int, colour: int
) -> None:
    path = png(tmp_path / "bomb.png", side, depth=depth, colour=colour)
    with pytest.raises(SourceError, match=f"{side}x{side}|picture"):
        worker.inspect(path)
    assert peak_mb(worker) < PROGRAM_MB
    with pytest.raises(SourceError, match="pixels"):
        read_image(path, max_pixels=4096)


def test_a_webp_that_would_need_two_gigabytes_to_be_looked_at_is_refused(worker: ImageWorker, tmp_path: Path) -> None:
    Image.new("RGB", (13_000, 13_000)).save(tmp_path / "a.webp", lossless=True, quality=0, method=0)
    with pytest.raises(SourceError):
        worker.inspect(tmp_path / "a.webp")
    assert peak_mb(worker) < PROGRAM_MB


def test_eight_at_once_take_the_memory_of_one(worker: ImageWorker, tmp_path: Path) -> None:
    path = largest(tmp_path, "rgba 16")
    worker.read_image(path, max_pixels=4096)
    alone_mb, own_mb, pid = peak_mb(worker), own_peak_mb(), worker.pid
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda _: worker.read_image(path, max_pixels=4096), range(8)))
    assert len(read) == 8 and worker.pid == pid
    assert peak_mb(worker) < alone_mb * 1.1
    assert own_peak_mb() - own_mb < 50


def test_texts_and_profiles_that_stand_for_gigabytes_are_not_unpacked(worker: ImageWorker, tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    for kind, data in ((b"zTXt", b"a\0\0" + bomb), (b"iTXt", b"a\0\1\0\0\0" + bomb), (b"iCCP", b"a\0\0" + bomb)):
        path = png(tmp_path / kind.decode(), 64, depth=8, colour=2, extra=chunk(kind, data) * 20)
        try:
            worker.inspect(path)
        except SourceError as error:
            assert str(error)
        assert peak_mb(worker) < PROGRAM_MB + 100


def test_a_moving_picture_with_no_end_of_frames_is_not_counted_through(worker: ImageWorker, tmp_path: Path) -> None:
    frames = [Image.new("P", (64, 64), number % 2) for number in range(3000)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=10, optimize=False)
    assert worker.inspect(tmp_path / "a.gif").kind == "video"


@pytest.mark.parametrize("kind", ["grey 16", "progressive"])
def test_a_picture_that_breaks_off_is_one_clear_error(worker: ImageWorker, tmp_path: Path, kind: str) -> None:
    path = largest(tmp_path, kind)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(SourceError):
        worker.inspect(path)


def test_a_video_that_claims_a_huge_picture_is_refused_within_the_memory(worker: ImageWorker, tmp_path: Path) -> None:
    Image.new("L", (16_000, 16_000)).save(tmp_path / "huge.mjpeg", "JPEG")
    (tmp_path / "film.mjpeg").write_bytes((tmp_path / "huge.mjpeg").read_bytes() * 3)
    for name in ("huge.mjpeg", "film.mjpeg"):
        with pytest.raises(SourceError):
            worker.inspect(tmp_path / name)
        assert peak_mb(worker) < PROGRAM_MB + 60


def test_a_video_is_told_by_its_codec(worker: ImageWorker, tmp_path: Path) -> None:
    content = worker.inspect(film(tmp_path / "a.mp4", seconds=1).rename(tmp_path / "photo.png"))
    assert (content.kind, content.codec) == ("video", "h264")


def test_what_the_process_reads_is_what_this_one_would(worker: ImageWorker, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    for max_pixels in (None, 100_000):
        mine = read_image(tmp_path / "a.png", max_pixels=max_pixels)
        assert np.array_equal(worker.read_image(tmp_path / "a.png", max_pixels=max_pixels), mine)
    with pytest.raises(SourceError, match="640x480"):
        worker.read_image(tmp_path / "a.png", max_pixels=None, most_pixels=100_000)


def small(folder: Path) -> Path:
    Image.new("RGB", (64, 48), "red").save(folder / "small.png")
    return folder / "small.png"


def test_a_process_that_is_killed_is_one_error_and_the_next_file_gets_a_new_one(
    worker: ImageWorker, tmp_path: Path
) -> None:
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (worker.pid, signal.SIGKILL)).start()
    with pytest.raises(SourceError, match=r"small\.png could not be decoded: the decoding process ended"):
        worker.inspect(small(tmp_path))
    assert worker.inspect(small(tmp_path)).kind == "picture"


def test_a_process_that_died_while_nobody_asked_costs_nobody_a_file(worker: ImageWorker, tmp_path: Path) -> None:
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
    assert worker.inspect(small(tmp_path)).kind == "picture"


def test_what_is_not_decoded_in_time_is_one_error(tmp_path: Path) -> None:
    worker = ImageWorker(deadline_s=10.0)  # its process has to begin in that time too
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    with pytest.raises(SourceError, match=r"could not be decoded in 10 s"):
        worker.inspect(small(tmp_path))
    assert worker.pid is None


def test_too_little_memory_or_time_is_one_error(worker: ImageWorker, tmp_path: Path) -> None:
    path = largest(tmp_path, "grey 16")
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    now = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (now + 20_000_000, now + 20_000_000))
    with pytest.raises(SourceError, match="memory"):
        worker.inspect(path)
    worker.close()
    path = largest(tmp_path, "progressive")
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    resource.prlimit(worker.pid, resource.RLIMIT_CPU, (1, 1))
    with pytest.raises(SourceError, match="out of memory or time"):
        for _ in range(100):  # the second of CPU is the process's, and a quick host decodes several in it
            worker.inspect(path)


def test_who_waits_too_long_for_the_turn_is_told(tmp_path: Path) -> None:
    worker = ImageWorker(turn_s=0.1)
    worker.inspect(small(tmp_path))
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(worker.inspect, small(tmp_path))
        until(first.running)
        time.sleep(0.5)
        with pytest.raises(SourceError, match="send it again in a moment"):
            worker.inspect(small(tmp_path))
        os.kill(worker.pid, signal.SIGCONT)
        assert first.result().kind == "picture"
    worker.close()


def test_a_process_that_nobody_needs_ends(tmp_path: Path) -> None:
    worker = ImageWorker(idle_s=0.1)
    worker.inspect(small(tmp_path))
    until(lambda: worker.pid is None)


def test_the_process_knows_no_secret_and_can_write_no_file(
    worker: ImageWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_API_KEY", "hunter2")
    worker.inspect(small(tmp_path))
    assert b"hunter2" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
    limits = Path(f"/proc/{worker.pid}/limits").read_text()
    assert any(line.split()[:5] == ["Max", "file", "size", "0", "0"] for line in limits.splitlines())


@pytest.mark.parametrize(
    "said",
    [b"\n", b"[]\n", b'{"shape": [1, 1, 4]}\n', b'{"shape": [90000, 90000, 3]}\n', b'{"shape": [1, 1, 3]}\nabcd'],
)
def test_a_process_that_says_what_no_such_process_says_is_not_believed(said: bytes) -> None:
    parts = iter([said])
    with pytest.raises((ValueError, AttributeError, TypeError)):
        image_worker.read_response(lambda _: next(parts))


@pytest.mark.parametrize("ending", ["mkv", "ts", "mp4"])
def test_a_video_of_more_pixels_than_any_codec_allows_is_not_decoded_to_be_looked_at(
    worker: ImageWorker, tmp_path: Path, ending: str
) -> None:
    side, path = 9000, tmp_path / f"huge.{ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        stream.options = {"preset": "ultrafast", "threads": "1"}
        frame = av.VideoFrame(side, side, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(SourceError):
        worker.inspect(path)
    assert peak_mb(worker) < PROGRAM_MB + 60
