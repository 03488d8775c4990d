from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg

from films import Film, number_in, rotate_by_metadata
from vigil.errors import SourceError
from vigil.frames import RGB
from vigil.sources import footage
from vigil.sources.footage import FileFootage


def numbers(clip: Path) -> list[int]:
    with av.open(str(clip)) as container:
        return [number_in(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def jpeg(path: Path) -> RGB:
    picture: RGB = simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB")
    return picture


def codec_of(clip: Path) -> tuple[str, str]:
    with av.open(str(clip)) as container:
        codec = container.streams.video[0].codec_context
        return codec.codec.canonical_name, codec.pix_fmt


def starts_with_its_index(clip: Path) -> bool:
    data = clip.read_bytes()
    return 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize("bf", ["0", "3"])
def test_a_clip_of_h264_is_cut_from_the_key_picture_before_it(film: Film, tmp_path: Path, bf: str) -> None:
    source = film("film.mp4", frames=300, options={"g": "50", "bf": bf})
    begins_s = FileFootage(source).clip(tmp_path / "clip.mp4", from_s=5.0, to_s=8.0)
    shown = numbers(tmp_path / "clip.mp4")
    assert begins_s == pytest.approx(4.0, abs=0.01)
    assert shown[0] == 100 and 199 <= shown[-1] <= 203
    assert shown == list(range(100, shown[-1] + 1))
    assert starts_with_its_index(tmp_path / "clip.mp4")
    assert list(tmp_path.glob("*.partial")) == []


def test_the_packets_of_h264_are_copied_not_encoded_again(film: Film, tmp_path: Path) -> None:
    source = film("film.mp4", frames=100)
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=0.0, to_s=4.0)
    with av.open(str(source)) as ours, av.open(str(tmp_path / "clip.mp4")) as theirs:
        packets = [bytes(p) for p in ours.demux(video=0) if p.size]
        assert [bytes(p) for p in theirs.demux(video=0) if p.size] == packets


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx265"), ("b.avi", "mjpeg"), ("c.ts", "mpeg2video")])
def test_what_browsers_do_not_play_is_encoded_as_h264(film: Film, tmp_path: Path, name: str, codec: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    source = film(name, frames=200, codec=codec, pixels=pixels)
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=3.0, to_s=5.0)
    shown = numbers(tmp_path / "clip.mp4")
    assert codec_of(tmp_path / "clip.mp4") == ("h264", "yuv420p")
    assert abs(shown[0] - 75) <= 3 and abs(shown[-1] - 125) <= 3


def test_ten_bit_h264_is_encoded_with_eight(film: Film, tmp_path: Path) -> None:
    source = film("film.mp4", frames=60, pixels="yuv420p10le")
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=0.0, to_s=2.0)
    assert codec_of(tmp_path / "clip.mp4") == ("h264", "yuv420p")


@pytest.mark.parametrize("name", ["a.ts", "b.h264", "c.mkv", "d.avi"])
def test_a_clip_can_be_cut_from_any_container(film: Film, tmp_path: Path, name: str) -> None:
    source = film(name, frames=200, options={"g": "50", "bf": "2"})
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=4.5, to_s=6.0)
    shown = numbers(tmp_path / "clip.mp4")
    assert 100 <= shown[0] <= 113 and abs(shown[-1] - 150) <= 4
    assert shown == sorted(shown) and len(shown) >= 36


def test_a_snapshot_is_the_nearest_picture_at_full_size(film: Film, tmp_path: Path) -> None:
    source = film("film.mp4", frames=200, size_wh=(640, 360))
    FileFootage(source).snapshot(tmp_path / "at.jpg", at_s=3.61)
    picture = jpeg(tmp_path / "at.jpg")
    assert picture.shape == (360, 640, 3) and number_in(picture) == 90


def test_a_snapshot_of_the_end_is_the_last_picture(film: Film, tmp_path: Path) -> None:
    FileFootage(film("film.mp4", frames=100)).snapshot(tmp_path / "at.jpg", at_s=4.4)
    assert number_in(jpeg(tmp_path / "at.jpg")) == 99


def test_a_snapshot_stands_upright(film: Film, tmp_path: Path) -> None:
    source = film("film.mp4", frames=30, size_wh=(320, 240))
    FileFootage(source).snapshot(tmp_path / "flat.jpg", at_s=0.4)
    rotate_by_metadata(source)
    FileFootage(source).snapshot(tmp_path / "upright.jpg", at_s=0.4)
    upright = jpeg(tmp_path / "upright.jpg")
    assert upright.shape == (320, 240, 3)
    difference = np.rot90(upright).astype(int) - jpeg(tmp_path / "flat.jpg")
    assert np.abs(difference).mean() < 3


def test_a_clip_of_a_rotated_video_is_shown_upright(film: Film, tmp_path: Path) -> None:
    source = film("film.mp4", frames=60, size_wh=(320, 240))
    rotate_by_metadata(source)
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=0.0, to_s=2.0)
    with av.open(str(source)) as ours, av.open(str(tmp_path / "clip.mp4")) as theirs:
        turned = [next(c.decode(video=0)).rotation for c in (ours, theirs)]
    assert turned[0] == turned[1] != 0


def test_a_clip_beyond_the_end_is_an_error_and_leaves_no_file(film: Film, tmp_path: Path) -> None:
    footage = FileFootage(film("film.mp4", frames=50))
    out = tmp_path / "out"
    with pytest.raises(SourceError, match="no length"):
        footage.clip(out / "clip.mp4", from_s=2.0, to_s=2.0)
    with pytest.raises(SourceError, match="within 5 s"):
        footage.snapshot(out / "at.jpg", at_s=60.0)
    with pytest.raises(SourceError, match="cannot be read"):
        FileFootage(tmp_path / "gone.mp4").clip(out / "clip.mp4", from_s=0.0, to_s=1.0)
    assert not out.exists() or not list(out.iterdir())


def test_a_folder_that_cannot_be_written_is_named(film: Film, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(SourceError, match="cannot be written"):
        FileFootage(film("film.mp4", frames=50)).clip(blocked / "clip.mp4", from_s=0.0, to_s=1.0)


def test_a_damaged_file_gives_what_is_left_of_it(film: Film, tmp_path: Path) -> None:
    source = film("a.ts", frames=200)
    data = bytearray(source.read_bytes())
    source.write_bytes(data[: len(data) * 3 // 4])
    FileFootage(source).clip(tmp_path / "clip.mp4", from_s=2.0, to_s=60.0)
    assert len(numbers(tmp_path / "clip.mp4")) > 50


@pytest.mark.parametrize(("name", "is_read_once"), [("a.ts", True), ("b.avi", True), ("c.mpg", False)])
def test_clips_of_a_long_recording_read_it_once_and_are_those_of_one_that_begins_anew(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_read_once: bool
) -> None:
    codec = "mpeg2video" if name == "c.mpg" else "libx264"
    source = film(name, frames=1000, size_wh=(160, 128), codec=codec, options={"g": "50"})
    read, packets = list[int](), footage.read_packets

    def counting(container: Any, stream: Any, *rest: Any) -> Iterator[Any]:
        for packet in packets(container, stream, *rest):
            read.append(1)
            yield packet

    def cut(kept: FileFootage, at_s: float, out: Path) -> list[int]:
        kept.clip(out, from_s=at_s, to_s=at_s + 2.0)
        return numbers(out)

    monkeypatch.setattr(footage, "read_packets", counting)
    kept = FileFootage(source)
    starts_s = [12.0, 30.0, 31.0, 14.0, 25.0, 36.0]
    ours = [cut(kept, at_s, tmp_path / "ours.mp4") for at_s in starts_s]
    assert len(read) < 2000 or not is_read_once
    read.clear()
    theirs = [cut(FileFootage(source), at_s, tmp_path / "theirs.mp4") for at_s in starts_s]
    assert len(read) > 3000 and ours == theirs


def test_a_recording_that_was_exchanged_is_read_anew(film: Film, tmp_path: Path) -> None:
    source = film("a.ts", frames=1000, options={"g": "50"})
    kept = FileFootage(source)
    kept.clip(tmp_path / "first.mp4", from_s=30.0, to_s=32.0)
    film("other.ts", frames=1000, options={"g": "25", "crf": "35"}).replace(source)
    kept.clip(tmp_path / "second.mp4", from_s=30.0, to_s=32.0)
    assert 745 <= numbers(tmp_path / "second.mp4")[0] <= 750
