import itertools
from pathlib import Path

import av
import pytest

from films import Film
from vigil.frames import FrameSampling
from vigil.sources.gop import HOLD_PACKETS, Gop, h264_nal_types, hevc_temporal_layers, split_gops
from vigil.sources.video_file import read_frames

IDR, SPS, SLICE = 5, 7, 1


def grouped(path: Path) -> list[Gop]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        packets = [packet for packet in container.demux(stream) if packet.size]
        return list(split_gops(packets, codec=context.codec.canonical_name, extradata=context.extradata))


def test_groups_start_at_key_pictures_and_lose_nothing(film: Film) -> None:
    found = grouped(film("a.mp4", options={"g": "20", "sc_threshold": "0"}))
    assert [len(group.packets) for group in found] == [20] * 5
    assert all(group.whole and group.sound for group in found)


def test_key_pictures_that_still_need_what_came_before_start_no_group(film: Film) -> None:
    intra_refresh = film("a.ts", options={"x264-params": "intra-refresh=1"})
    assert len(grouped(intra_refresh)) == 1


def test_pictures_shown_before_their_key_picture_lead_it(film: Film) -> None:
    options = {"g": "20", "x265-params": "log-level=none:open-gop=1:scenecut=0:bframes=4"}
    found = grouped(film("a.mp4", codec="libx265", options=options))
    leading = [len(group.leading) for group in found]
    assert leading[0] == 0
    assert max(leading) > 0
    assert all(not group.without_leading().leading for group in found)


def test_what_is_too_long_to_hold_comes_in_parts(film: Film) -> None:
    path = film("a.mp4", frames=HOLD_PACKETS + 50, size_wh=(64, 64), options={"g": "10000", "sc_threshold": "0"})
    found = grouped(path)
    assert [len(group.packets) for group in found] == [HOLD_PACKETS, 50]
    assert [group.whole for group in found] == [False, False]
    assert len(list(read_frames(path, FrameSampling()))) == 52


def test_units_are_found_behind_start_codes_and_behind_lengths() -> None:
    units = [bytes([0x60 | kind, 1, 2, 3]) for kind in (SPS, IDR, SLICE)]
    annex_b = b"".join(b"\x00\x00\x00\x01" + unit for unit in units)
    prefixed = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    assert list(h264_nal_types(annex_b, None)) == [SPS, IDR, SLICE]
    assert list(h264_nal_types(prefixed, b"\x01\x64\x00\x1f\xff")) == [SPS, IDR, SLICE]


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\x00\x00\x01", bytes(40), bytes(range(256))])
def test_units_of_noise_come_to_an_end(noise: bytes) -> None:
    for extradata in (None, b"", b"\x01\x64\x00\x1f\xff"):
        assert len(list(itertools.islice(h264_nal_types(noise, extradata), 300))) < 300


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_temporal_layers_of_h265_are_counted(film: Film, name: str, layers: int) -> None:
    extra = f":temporal-layers={layers}:b-pyramid=1:bframes=7" if layers > 1 else ""
    path = film(name, codec="libx265", options={"x265-params": "log-level=none" + extra})
    with av.open(str(path)) as container:
        assert hevc_temporal_layers(container.streams.video[0].codec_context.extradata) == layers


@pytest.mark.parametrize("extradata", [b"", b"\x01\x02", b"nothing", b"\x00\x00\x01"])
def test_a_header_that_says_nothing_about_layers_is_not_guessed_at(extradata: bytes) -> None:
    assert hevc_temporal_layers(extradata) is None
