"""Every kind of file that INGEST's table of robustness names, and some more."""

import itertools
import logging
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from films import Film, hum, number_in, picture, rotate_by_metadata, shoot
from vigil.errors import SourceError, UsageError
from vigil.frames import Frame, FrameSampling, fit_size
from vigil.sources.timestamps import FrameSampler
from vigil.sources.video_file import open_video, read_frames


def frames_and_problems(path: Path, sampling: FrameSampling) -> tuple[list[Frame], tuple[str, ...]]:
    with open_video(path, sampling) as video:
        return list(video.frames()), video.problems


def times(frames: list[Frame]) -> list[float]:
    return [round(frame.time_s, 2) for frame in frames]


def numbers(frames: list[Frame]) -> list[int]:
    return [number_in(frame.image) for frame in frames]


EVERY_HALF_SECOND = [0, 13, 25, 38, 50, 63, 75, 88]
"""The first picture at or after each half second at 25 a second."""


def test_twenty_five_a_second_become_exactly_two(film: Film, sampling: FrameSampling) -> None:
    frames, problems = frames_and_problems(film("a.mp4"), sampling)
    assert numbers(frames) == EVERY_HALF_SECOND
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]
    assert problems == ()


def test_frames_are_sized_by_fit_and_upright_rgb(film: Film) -> None:
    sampling = FrameSampling(max_pixels=12_288)
    frames = list(read_frames(film("a.mp4", size_wh=(320, 180)), sampling))
    width, height = fit_size(320, 180, max_pixels=12_288)
    assert {frame.image.shape for frame in frames} == {(height, width, 3)}
    assert all(frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous for frame in frames)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.mov", {}),
        ("a.flv", {}),
        ("b-frames.avi", {}),
        ("mpeg4-b-frames.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("raw.h264", {"format": "h264"}),
        ("no-b.mp4", {"options": {"bf": "0"}}),
        ("pyramid.mp4", {"options": {"bf": "3", "x264-params": "b-pyramid=2:open-gop=1"}}),
        ("open-gop.ts", {"options": {"bf": "3", "x264-params": "open-gop=1:scenecut=0"}}),
        ("intra-refresh.ts", {"options": {"x264-params": "intra-refresh=1"}}),
        ("h265.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
        ("h265-open.ts", {"codec": "libx265", "options": {"g": "20", "x265-params": "log-level=none:open-gop=1"}}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}}),
        ("mjpeg.mov", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("ten-bit.mp4", {"pixels": "yuv420p10le"}),
        ("odd-444.mkv", {"pixels": "yuv444p", "size_wh": (301, 239)}),
        ("fragmented.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("sound.mp4", {"sound": True}),
    ],
)
def test_the_same_pictures_come_out_of_every_container_and_codec(
    film: Film, sampling: FrameSampling, name: str, how: dict[str, object]
) -> None:
    frames = list(read_frames(film(name, **how), sampling))
    assert numbers(frames) == EVERY_HALF_SECOND
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]


@pytest.mark.parametrize("fps", [0.3, 2.0, 6.0, 25.0])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x264.mp4", {}),
        ("open.ts", {"options": {"bf": "3", "g": "20", "x264-params": "open-gop=1:scenecut=0"}}),
        ("x265.mp4", {"codec": "libx265", "options": {"g": "20", "x265-params": "log-level=none:open-gop=1"}}),
        ("mpeg2.ts", {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}}),
        ("layers.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none:temporal-layers=3:bframes=7"}}),
    ],
)
def test_what_is_left_undecoded_changes_no_pixel(film: Film, name: str, how: dict[str, object], fps: float) -> None:
    path, sampling = film(name, **how), FrameSampling(fps=fps)
    frames = list(read_frames(path, sampling))
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    sampler, first = FrameSampler(fps), decoded[0].time
    wanted = [frame for frame in decoded if sampler.accept(frame.time - first)]
    assert len(frames) == len(wanted)
    for frame, plain in zip(frames, wanted, strict=True):
        full = plain.reformat(width=320, height=256, format="gbrp", interpolation="BICUBIC", dst_color_range=2)
        assert np.array_equal(frame.image, full.to_ndarray())


def check_what_is_there(frames: list[Frame]) -> None:
    """Which picture is the last whole one follows from the encoder's bytes; each is shown at its own time."""
    assert 3 <= len(frames) < 8
    assert numbers(frames)[:3] == EVERY_HALF_SECOND[:3]
    assert numbers(frames) == [round(25 * frame.time_s) for frame in frames]


def test_an_mp4_cut_off_behind_its_index_gives_what_is_there_and_says_so(film: Film, sampling: FrameSampling) -> None:
    path = film("a.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, problems = frames_and_problems(path, sampling)
    check_what_is_there(frames)
    assert any("header promises" in problem for problem in problems)


def test_the_shortcut_logs_what_was_wrong(
    film: Film, sampling: FrameSampling, caplog: pytest.LogCaptureFixture
) -> None:
    path = film("a.mp4", container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-2000])
    with caplog.at_level(logging.WARNING):
        assert list(read_frames(path, sampling))
    assert "a.mp4" in caplog.text


@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "fragmented.mp4"])
def test_streams_that_break_off_give_what_came_before(film: Film, sampling: FrameSampling, name: str) -> None:
    fragments = {"movflags": "frag_keyframe+empty_moov"} if name == "fragmented.mp4" else {}
    path = film(name, container_options=fragments, options={"g": "10"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    frames, _ = frames_and_problems(path, sampling)
    check_what_is_there(frames)


def test_bytes_damaged_inside_cost_only_their_own_pictures(film: Film, sampling: FrameSampling) -> None:
    path = film("a.mp4", options={"g": "10"}, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    frames, problems = frames_and_problems(path, sampling)
    assert times(frames)[-1] > 3.4
    assert len(frames) >= 7
    assert numbers(frames)[-1] == EVERY_HALF_SECOND[-1]
    assert any("could not be decoded" in problem for problem in problems)


def test_a_variable_rate_is_sampled_by_the_clock(film: Film, sampling: FrameSampling) -> None:
    stamps = [i * 40 for i in range(50)] + [2000 + i * 200 for i in range(10)]
    frames, problems = frames_and_problems(film("a.mp4", stamps_ms=stamps), sampling)
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.6, 3.0, 3.6]
    assert numbers(frames) == [0, 13, 25, 38, 50, 53, 55, 58]
    assert problems == ()


def test_a_pause_of_seven_seconds_stays_a_pause(film: Film, sampling: FrameSampling) -> None:
    stamps = [i * 40 for i in range(50)] + [9000 + i * 40 for i in range(50)]
    frames, _ = frames_and_problems(film("a.mp4", stamps_ms=stamps), sampling)
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 9.0, 9.52, 10.0, 10.52]
    assert numbers(frames) == EVERY_HALF_SECOND


def test_a_leap_of_the_clock_is_spliced_and_reported(film: Film, sampling: FrameSampling) -> None:
    stamps = [i * 40 for i in range(50)] + [900_000 + i * 40 for i in range(50)]
    frames, problems = frames_and_problems(film("a.ts", stamps_ms=stamps), sampling)
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]
    assert numbers(frames) == EVERY_HALF_SECOND
    assert any("jumps of its clock" in problem for problem in problems)


@pytest.mark.parametrize("vendor_header", [b"", b"IMKH\x01\x01\x00\x00" + bytes(32)])
@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("camera.mpg", {"format": "mpeg", "options": {"bf": "0"}}),
        ("camera.mp4", {"format": "mpeg", "options": {"bf": "0", "g": "15"}}),
        ("b-frames.vob", {"format": "vob", "options": {"bf": "2"}}),
        ("slow.mpg", {"format": "mpeg", "options": {"bf": "0"}, "rate": 10, "frames": 40}),
        ("h265.mpg", {"format": "mpeg", "codec": "libx265", "options": {"x265-params": "log-level=none:bframes=0"}}),
        ("mpeg2.mpg", {"format": "mpeg", "codec": "mpeg2video", "options": {"bf": "2", "g": "15"}}),
        ("disc.vob", {"format": "dvd", "codec": "mpeg2video", "options": {"g": "15"}}),
    ],
)
def test_a_program_stream_that_stamps_one_picture_in_many_is_sound(
    film: Film, sampling: FrameSampling, name: str, how: dict[str, object], vendor_header: bytes
) -> None:
    path = film(name, **how)
    path.write_bytes(vendor_header + path.read_bytes())
    frames, problems = frames_and_problems(path, sampling)
    rate = int(how.get("rate", 25))  # type: ignore[call-overload]
    assert numbers(frames) == [-(-k * rate // 2) for k in range(8)]
    assert all(abs(frame.time_s - k / 2) < 0.06 for k, frame in enumerate(frames))
    assert problems == ()
    with open_video(path, sampling, start_s=1.8) as video:
        assert numbers(list(video.frames())) == numbers(frames)[4:]


def test_a_quarter_turn_in_the_metadata_is_applied_as_opencv_does(film: Film, sampling: FrameSampling) -> None:
    path = film("a.mp4")
    rotate_by_metadata(path)
    frames = list(read_frames(path, sampling))
    capture = cv2.VideoCapture(str(path))
    _, bgr = capture.read()
    capture.release()
    height, width = frames[0].image.shape[:2]
    assert (width, height) == fit_size(240, 320, max_pixels=sampling.max_pixels)
    upright = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_CUBIC)[:, :, ::-1]
    assert np.abs(frames[0].image.astype(int) - upright).mean() < 4


def test_pixels_that_are_not_square_are_shown_in_their_true_shape(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    shoot(path, size_wh=(352, 288), options={"x264-params": "sar=16/11"})
    frames = list(read_frames(path, FrameSampling()))
    assert frames[0].image.shape[1::-1] == fit_size(512, 288, max_pixels=131_072)


@pytest.mark.parametrize("name", ["a.ts", "a.mkv"])
def test_a_stream_that_starts_at_a_hundred_seconds_starts_at_zero(
    film: Film, sampling: FrameSampling, name: str
) -> None:
    frames, problems = frames_and_problems(film(name, stamps_ms=[100_000 + i * 40 for i in range(100)]), sampling)
    assert times(frames) == [0.0, 0.52, 1.0, 1.52, 2.0, 2.52, 3.0, 3.52]
    assert problems == ()


def test_size_and_clock_may_change_in_the_middle(film: Film, sampling: FrameSampling, tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    both.write_bytes(film("a.ts").read_bytes() + film("b.ts", size_wh=(640, 480)).read_bytes())
    frames, problems = frames_and_problems(both, sampling)
    sizes = [frame.image.shape[1::-1] for frame in frames]
    assert sizes[0] == (320, 256)
    assert sizes[-1] == fit_size(640, 480, max_pixels=sampling.max_pixels)
    assert 15 <= len(frames) <= 16
    assert all(a.time_s < b.time_s for a, b in itertools.pairwise(frames))
    assert any("jumps of its clock" in problem for problem in problems)
    assert any("picture size" in problem for problem in problems)


def test_sound_that_turns_up_late_costs_no_picture(film: Film, sampling: FrameSampling, tmp_path: Path) -> None:
    both = tmp_path / "both.ts"
    late = film("b.ts", sound=True, stamps_ms=[4000 + i * 40 for i in range(100)])
    both.write_bytes(film("a.ts").read_bytes() + late.read_bytes())
    seen = numbers(list(read_frames(both, sampling)))
    assert seen[:8] == EVERY_HALF_SECOND
    assert np.abs(np.subtract(seen[8:], EVERY_HALF_SECOND)).max() <= 1


def test_half_a_second_and_a_single_frame_are_enough(film: Film, sampling: FrameSampling) -> None:
    assert len(list(read_frames(film("short.mp4", frames=12), sampling))) == 1
    assert len(list(read_frames(film("one.mp4", frames=1), sampling))) == 1


def test_names_with_colons_and_percent_signs_are_only_names(film: Film, sampling: FrameSampling) -> None:
    assert list(read_frames(film("http:%03d.mp4"), sampling))


def test_a_file_that_lost_its_index_says_that_it_is_damaged(film: Film, sampling: FrameSampling) -> None:
    path = film("a.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov")])
    with pytest.raises(SourceError, match=r"a\.mp4 cannot be read as a video"):
        list(read_frames(path, sampling))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 40, "cannot be read as a video"),
        (b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n", "cannot be read as a video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be read as a video"),
    ],
    ids=["zero bytes", "garbage", "playlist", "script"],
)
def test_what_is_no_video_is_refused(tmp_path: Path, sampling: FrameSampling, content: bytes, message: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        list(read_frames(path, sampling))


def test_missing_files_and_folders_are_named(tmp_path: Path, sampling: FrameSampling) -> None:
    with pytest.raises(SourceError, match=r"gone\.mp4 cannot be read: No such file"):
        list(read_frames(tmp_path / "gone.mp4", sampling))
    with pytest.raises(SourceError, match="is a folder"):
        list(read_frames(tmp_path, sampling))


def test_sound_alone_is_no_video(tmp_path: Path, sampling: FrameSampling) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        container.mux([*stream.encode(hum(16_000)), *stream.encode()])
    with pytest.raises(SourceError, match=r"no moving pictures \(audio\)"):
        list(read_frames(path, sampling))


def test_the_frames_of_an_open_video_can_be_had_once(film: Film, sampling: FrameSampling) -> None:
    with open_video(film("a.mp4"), sampling) as video:
        assert video.duration_s == pytest.approx(4.0, abs=0.05)
        assert video.source_fps == pytest.approx(25.0, abs=0.1)
        assert list(video.frames())
        with pytest.raises(SourceError, match="open it again"):
            list(video.frames())


def test_an_unknown_reader_is_refused(film: Film, sampling: FrameSampling) -> None:
    with pytest.raises(UsageError, match="pyav and decord"):
        list(read_frames(film("a.mp4"), sampling, reader="opencv"))  # type: ignore[arg-type]


def test_colours_survive(tmp_path: Path, sampling: FrameSampling) -> None:
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 256, "yuv420p"
        image = np.full((256, 320, 3), (30, 200, 60), np.uint8)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    frame = next(iter(read_frames(path, sampling)))
    assert np.abs(frame.image.astype(int) - (30, 200, 60)).max() < 10


def test_a_numbered_picture_can_be_read_back() -> None:
    assert [number_in(picture(n, (320, 240))) for n in (0, 1, 341, 1023)] == [0, 1, 341, 1023]


def test_scaled_colours_are_not_rounded_down(film: Film, sampling: FrameSampling) -> None:
    frame = next(iter(read_frames(film("a.mp4", size_wh=(640, 480), options={"crf": "1"}), sampling)))
    middle = frame.image[frame.image.shape[0] // 2]
    assert abs(float(middle.mean()) - 20) < 0.5


def test_fast_keeps_as_many_pictures_each_at_most_a_tenth_of_a_second_later(
    film: Film, sampling: FrameSampling
) -> None:
    path = film("b.mp4", frames=200, options={"bf": "3"})
    exact, fast = (times(list(read_frames(path, sampling, fast=fast))) for fast in (False, True))
    moved = [round(later - time_s, 2) for time_s, later in zip(exact, fast, strict=True)]
    assert exact != fast
    assert all(0 <= step <= 0.12 for step in moved)


def test_fast_changes_no_time_where_every_picture_is_referred_to(film: Film, sampling: FrameSampling) -> None:
    path = film("no-b.mp4", frames=200, options={"bf": "0"})
    assert times(list(read_frames(path, sampling))) == times(list(read_frames(path, sampling, fast=True)))


def test_only_our_own_reader_is_fast(film: Film, sampling: FrameSampling) -> None:
    with pytest.raises(UsageError, match="pyav"):
        list(read_frames(film("a.mp4"), sampling, reader="decord", fast=True))
