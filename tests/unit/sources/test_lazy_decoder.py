"""A live stream decoded with patience gives the pictures of a live stream decoded in full."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from films import Film
from vigil.frames import RGB
from vigil.sources.lazy_decoder import KeyframeInterval, LazyDecoder
from vigil.sources.timestamps import FrameSampler

Kept = list[tuple[float, RGB]]


def packets_of(path: Path) -> Iterator[tuple[Any, Any]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            if packet.size:
                yield packet, stream


def watched(
    path: Path, *, fps: float = 2.0, patient: bool = True, fast: bool = False, crowding: float = 1.0
) -> tuple[Kept, LazyDecoder]:
    """The kept pictures of a file whose packets come in as from a camera, on a machine that is so crowded."""
    sampler, kept = FrameSampler(fps), []
    decoder: LazyDecoder | None = None
    for packet, stream in packets_of(path):
        decoder = decoder or LazyDecoder(stream.codec_context, sampler, fast=fast)
        decoder._crowding = crowding
        pictures = (
            decoder.push(packet, float(packet.pts * packet.time_base)) if patient else decoder._codec.decode(packet)
        )
        kept += [
            (picture.time, picture.to_ndarray(format="rgb24")) for picture in pictures if sampler.accept(picture.time)
        ]
    assert decoder is not None
    return kept, decoder


def assert_same(path: Path, *, fps: float = 2.0, crowding: float = 1.0) -> LazyDecoder:
    patient, decoder = watched(path, fps=fps, crowding=crowding)
    full, _ = watched(path, fps=fps, patient=False)
    # What a file's decoder still holds at the end comes out in neither.
    for (time_s, image), (full_s, full_image) in zip(patient, full, strict=False):
        assert time_s == full_s
        assert np.array_equal(image, full_image)
    assert abs(len(patient) - len(full)) <= 1
    return decoder


CAMERA = {"bf": "0", "g": "25", "x264-params": "scenecut=0"}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("camera.mp4", {"options": CAMERA}),
        ("gop-50.mp4", {"options": {**CAMERA, "g": "50"}}),
        ("gop-12.mkv", {"options": {**CAMERA, "g": "12"}}),
        ("gop-7.ts", {"options": {**CAMERA, "g": "7"}}),
        ("b.mp4", {"options": {"bf": "3", "g": "25", "x264-params": "scenecut=0"}}),
        ("pyramid.mp4", {"options": {"bf": "3", "g": "25", "x264-params": "scenecut=0:b-pyramid=2:open-gop=1"}}),
        ("h265.mp4", {"codec": "libx265", "options": {"g": "25", "x265-params": "log-level=none:open-gop=0"}}),
        ("h265-open.ts", {"codec": "libx265", "options": {"g": "20", "x265-params": "log-level=none:open-gop=1"}}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}}),
        ("mpeg4.mp4", {"codec": "mpeg4", "options": {"bf": "2", "g": "15"}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"g": "25", "deadline": "realtime", "cpu-used": "8"}}),
        ("mjpeg.mov", {"codec": "mjpeg", "pixels": "yuvj420p"}),
    ],
)
def test_the_kept_pictures_are_those_of_full_decoding(film: Film, name: str, how: dict[str, object]) -> None:
    decoder = assert_same(film(name, frames=150, size_wh=(160, 128), **how))
    assert decoder.bad_packets == 0


@pytest.mark.parametrize("fps", [0.3, 1.0, 3.0, 5.0, 25.0])
def test_at_every_rate_of_sampling(film: Film, fps: float) -> None:
    assert_same(film("a.mp4", frames=150, size_wh=(160, 128), options=CAMERA), fps=fps)


@pytest.mark.parametrize("crowding", [1.0, 9.0])
def test_only_a_crowded_machine_lets_a_picture_wait_for_those_before_it(film: Film, crowding: float) -> None:
    path = film("a.mp4", frames=60, size_wh=(160, 128), options={**CAMERA, "g": "250"})
    sampler, holding = FrameSampler(2.0), []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = LazyDecoder(stream.codec_context, sampler)
        for packet in container.demux(stream):
            if packet.size:
                decoder._crowding = crowding
                kept = [sampler.accept(picture.time) for picture in decoder.push(packet, float(packet.pts) / 12_800)]
                holding.append("kept" if any(kept) else "held" if decoder.is_holding else "sent")
    before = [holding[number - 1] for number, what in enumerate(holding) if what == "kept"][1:]
    assert len(before) >= 3
    assert set(before) == {"sent" if crowding < 2 else "held"}


@pytest.mark.parametrize(("crowding", "in_the_first_second"), [(1.0, 0), (9.0, 11)])
def test_almost_half_is_left_out_at_a_key_picture_a_second(
    film: Film, crowding: float, in_the_first_second: int
) -> None:
    path = film("a.mp4", frames=250, size_wh=(160, 128), options=CAMERA)
    decoder = assert_same(path, crowding=crowding)
    # A second is needed to learn the rhythm, and what the last one holds is not told; then 11 of 25 are left out.
    assert decoder.left_out == in_the_first_second + 11 * 8


def test_key_pictures_out_of_rhythm_cost_nothing_but_patience(film: Film) -> None:
    options = {"bf": "0", "g": "250", "forced-idr": "1", "x264-params": "scenecut=40:keyint=37:min-keyint=3"}
    assert_same(film("a.mp4", frames=250, size_wh=(160, 128), options=options))


def test_motion_jpeg_is_decoded_only_where_it_is_kept(film: Film) -> None:
    decoder = assert_same(film("a.mov", frames=150, size_wh=(160, 128), codec="mjpeg", pixels="yuvj420p"))
    assert decoder.left_out > 120


def test_a_rhythm_is_the_shorter_of_the_last_two_distances() -> None:
    rhythm, expected = KeyframeInterval(), []
    for time_s in (0.0, 2.0, 3.0, 5.0, 7.0):
        rhythm.record(time_s)
        expected.append(rhythm.next_s)
    assert expected == [None, 4.0, 4.0, 6.0, 9.0]
    rhythm.reset()
    assert rhythm.next_s is None


def test_fast_keeps_as_many_pictures_each_at_most_three_frames_later(film: Film) -> None:
    path = film("b.mp4", frames=150, size_wh=(160, 128), options={"bf": "3", "g": "25", "x264-params": "scenecut=0"})
    (fast, _), (exact, _) = watched(path, fast=True), watched(path)
    moved = [later - time_s for (later, _), (time_s, _) in zip(fast, exact, strict=False)]
    assert abs(len(fast) - len(exact)) <= 1
    assert any(moved)
    assert all(-0.001 < step < 0.13 for step in moved)
