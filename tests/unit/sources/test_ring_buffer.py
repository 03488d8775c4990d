import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import simplejpeg

from films import Film, number_in, picture, shoot_sizes
from vigil.errors import SourceError
from vigil.sources.ring_buffer import JpegRingBuffer, PacketRingBuffer


def numbers(clip: Path) -> list[int]:
    with av.open(str(clip)) as container:
        return [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def stream_into(ring: PacketRingBuffer, source: Path, *, start_s: float = 0.0) -> None:
    """Plays a file into a ring as a camera's feed would, and lets go of it."""
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        ring.connected(stream)
        for number, packet in enumerate(container.demux(stream)):
            ring.add(packet, start_s + number / 25)
        ring.disconnected()


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("b.ts", "libx264"), ("c.ts", "libx265"), ("d.avi", "mjpeg")],
)
def test_a_clip_is_written_when_the_connection_is_long_gone(film: Film, tmp_path: Path, name: str, codec: str) -> None:
    ring = PacketRingBuffer()
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    stream_into(ring, film(name, frames=200, codec=codec, pixels=pixels, options={"g": "25"}))
    gc.collect()
    ring.clip(tmp_path / "clip.mp4", from_s=3.0, to_s=5.0)
    shown = numbers(tmp_path / "clip.mp4")
    assert abs(shown[0] - 75) <= 3 and abs(shown[-1] - 125) <= 5
    assert shown == list(range(shown[0], shown[-1] + 1))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == "h264"


@pytest.mark.parametrize("name", ["a.ts", "a.flv"])
@pytest.mark.parametrize("sizes_wh", [[(320, 240), (640, 360)], [(640, 360), (320, 240), (640, 480)]])
def test_a_clip_across_a_change_of_size_shows_every_picture_in_one_size(
    tmp_path: Path, name: str, sizes_wh: list[tuple[int, int]]
) -> None:
    shoot_sizes(tmp_path / name, sizes_wh, frames=50)
    ring = PacketRingBuffer()
    stream_into(ring, tmp_path / name)
    ring.clip(tmp_path / "clip.mp4", from_s=1.0, to_s=60.0)
    assert numbers(tmp_path / "clip.mp4") == list(range(25, 50 * len(sizes_wh)))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {sizes_wh[0]}
    ring.clip(tmp_path / "later.mp4", from_s=3.0, to_s=3.9)
    assert numbers(tmp_path / "later.mp4") == list(range(75, 98))
    ring.snapshot(tmp_path / "at.jpg", at_s=3.2)
    shown = simplejpeg.decode_jpeg((tmp_path / "at.jpg").read_bytes(), colorspace="RGB")
    assert shown.shape[1::-1] == sizes_wh[1] and number_in(shown) == 80


def test_a_clip_in_one_size_is_still_copied_and_not_encoded_anew(tmp_path: Path) -> None:
    shoot_sizes(tmp_path / "a.ts", [(320, 240), (320, 240)], frames=50)
    ring = PacketRingBuffer()
    stream_into(ring, tmp_path / "a.ts")
    assert ring.clip(tmp_path / "clip.mp4", from_s=1.5, to_s=60.0) == pytest.approx(1.0, abs=0.05)
    # A copy begins at the key picture before the wanted second.
    assert numbers(tmp_path / "clip.mp4") == list(range(25, 100))


def test_a_snapshot_comes_from_the_kept_packets(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer()
    stream_into(ring, film("a.ts", frames=200, size_wh=(640, 360), options={"g": "25", "bf": "0"}))
    ring.snapshot(tmp_path / "at.jpg", at_s=4.0)
    shown = simplejpeg.decode_jpeg((tmp_path / "at.jpg").read_bytes(), colorspace="RGB")
    assert shown.shape == (360, 640, 3) and number_in(shown) == 100


def test_only_the_last_seconds_are_kept_from_a_key_picture_on(film: Film) -> None:
    ring = PacketRingBuffer(keep_s=3.0)
    stream_into(ring, film("film.mp4", frames=300, options={"g": "25"}))
    span = ring.span_s
    assert span is not None
    assert 3.0 <= span[1] - span[0] <= 4.1


def test_the_ring_never_holds_more_bytes_than_it_may(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer(max_bytes=8_000)
    source = film("film.mp4", frames=300, options={"g": "25", "crf": "10"})
    held = []
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        ring.connected(stream)
        for number, packet in enumerate(container.demux(stream)):
            ring.add(packet, number / 25)
            held.append(ring.buffered_bytes)
    assert 0 < max(held) <= 8_000
    span = ring.span_s
    assert span is not None and span[0] > 1.0


def test_a_group_that_alone_is_too_large_is_not_kept(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer(max_bytes=500, name="yard")
    stream_into(ring, film("film.mp4", frames=100))
    with pytest.raises(SourceError, match="yard: nothing is kept of"):
        ring.clip(tmp_path / "clip.mp4", from_s=0.0, to_s=2.0)


def test_after_a_reconnection_with_another_size_the_larger_part_is_written(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer()
    stream_into(ring, film("a.mp4", frames=100, size_wh=(320, 240)))
    stream_into(ring, film("b.mp4", frames=200, size_wh=(640, 360)), start_s=10.0)
    ring.clip(tmp_path / "clip.mp4", from_s=2.5, to_s=15.0)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].codec_context.width == 640
    ring.clip(tmp_path / "before.mp4", from_s=0.0, to_s=4.0)
    with av.open(str(tmp_path / "before.mp4")) as container:
        assert container.streams.video[0].codec_context.width == 320


def test_runs_from_long_before_are_let_go(film: Film) -> None:
    ring = PacketRingBuffer(keep_s=5.0)
    stream_into(ring, film("a.mp4", frames=100))
    stream_into(ring, film("b.mp4", frames=100), start_s=100.0)
    span = ring.span_s
    assert span is not None and span[0] == 100.0


class Unstamped:
    """A packet as a camera without a clock sends it."""

    def __init__(self, packet: Any) -> None:
        self.packet, self.pts, self.dts, self.time_base = packet, None, None, packet.time_base
        self.size, self.is_keyframe = packet.size, packet.is_keyframe
        self.has_sidedata = packet.has_sidedata

    def __bytes__(self) -> bytes:
        return bytes(self.packet)


def test_packets_without_stamps_are_placed_by_their_arrival(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer()
    with av.open(str(film("film.mp4", frames=100, options={"g": "25", "bf": "0"}))) as container:
        stream = container.streams.video[0]
        ring.connected(stream)
        for number, packet in enumerate(container.demux(stream)):
            ring.add(Unstamped(packet), number / 5)
    ring.clip(tmp_path / "clip.mp4", from_s=0.0, to_s=30.0)
    assert len(numbers(tmp_path / "clip.mp4")) == 100
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.duration == pytest.approx(20_000_000, rel=0.05)


def test_an_empty_ring_says_what_it_keeps(tmp_path: Path) -> None:
    ring = PacketRingBuffer(keep_s=30, name="gate")
    with pytest.raises(SourceError, match=r"gate: nothing is kept of 1\.0 to 2\.0 s"):
        ring.clip(tmp_path / "clip.mp4", from_s=1.0, to_s=2.0)
    with pytest.raises(SourceError, match="nothing is kept"):
        ring.snapshot(tmp_path / "at.jpg", at_s=1.0)


def test_clips_can_be_taken_while_packets_come_in(film: Film, tmp_path: Path) -> None:
    ring = PacketRingBuffer(keep_s=2.0)
    source = film("a.ts", frames=75, size_wh=(64, 48), options={"g": "25"})
    stream_into(ring, source)
    taken = threading.Event()

    def feed() -> None:
        for number in range(1, 200):
            stream_into(ring, source, start_s=number * 3.0)
            if taken.is_set():
                return

    feeder = threading.Thread(target=feed)
    feeder.start()
    written = sum(_try_clip(ring, tmp_path / f"{n}.mp4") for n in range(5))
    taken.set()
    feeder.join()
    assert written > 0


def _try_clip(ring: PacketRingBuffer, path: Path) -> bool:
    span = ring.span_s
    assert span is not None
    try:
        ring.clip(path, from_s=span[1] - 1.5, to_s=span[1])
    except SourceError:
        return False
    return bool(numbers(path))


def still_pictures() -> Iterator[tuple[int, float]]:
    return ((n, n * 0.5) for n in range(40))


def test_pictures_become_a_clip_at_their_own_times(tmp_path: Path) -> None:
    ring = JpegRingBuffer(keep_s=10.0)
    for number, time_s in still_pictures():
        ring.add(picture(number, (320, 240)), time_s)
    ring.clip(tmp_path / "clip.mp4", from_s=12.0, to_s=15.0)
    ring.snapshot(tmp_path / "at.jpg", at_s=14.1)
    assert numbers(tmp_path / "clip.mp4") == list(range(24, 31))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([n * 0.5 for n in range(7)], abs=0.001)
    shown = simplejpeg.decode_jpeg((tmp_path / "at.jpg").read_bytes(), colorspace="RGB")
    assert number_in(shown) == 28
    with pytest.raises(SourceError, match="nothing is kept"):
        ring.clip(tmp_path / "old.mp4", from_s=0.0, to_s=5.0)


def test_pictures_are_bounded_by_bytes() -> None:
    ring = JpegRingBuffer(keep_s=1000.0, max_bytes=50_000)
    for number, time_s in still_pictures():
        ring.add(picture(number, (320, 240)), time_s)
    assert 0 < ring.buffered_bytes <= 50_000
