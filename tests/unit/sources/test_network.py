"""What is read of a live stream, packet by packet: real cameras that are joined between two key pictures."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

import rtsp_server
from films import number_in, shoot
from live_seeing import following
from odd_camera import playing, serving
from vigil.frames import Frame
from vigil.sources.open_capture import CaptureSettings, Connected, Disconnected, Waiting

UNHURRIED = CaptureSettings(open_timeout_s=10.0, read_timeout_s=10.0, retry_min_s=0.1, retry_max_s=0.2)

LONG = {"g": "200", "keyint_min": "200", "sc_threshold": "0", "bf": "0", "preset": "ultrafast"}


def test_a_camera_joined_between_two_key_pictures_a_long_way_apart_is_waited_for(tmp_path: Path) -> None:
    film = tmp_path / "smart.mp4"
    shoot(film, frames=400, options=LONG)
    hasty = replace(UNHURRIED, picture_timeout_s=1.0, key_timeout_s=60.0)
    with (
        rtsp_server.running(film, options=["--join", "3"]) as camera,
        following(camera.address(), settings=hasty) as seen,
    ):
        seen.wait(Frame, number=2)
    waiting, connected = seen.others
    assert isinstance(waiting, Waiting) and "key picture" in waiting.reason
    assert isinstance(connected, Connected)
    assert number_in(seen.frames[0].image) == 200
    assert not any("could not be decoded" in problem for problem in seen.feed.problems)


def test_a_camera_that_never_sends_a_key_picture_is_lost_in_the_end(tmp_path: Path) -> None:
    film = tmp_path / "endless.mp4"
    shoot(film, frames=500, options={**LONG, "g": "9999", "keyint_min": "9999"})
    hasty = replace(UNHURRIED, picture_timeout_s=0.5, key_timeout_s=2.0)
    with (
        rtsp_server.running(film, options=["--join", "3"]) as camera,
        following(camera.address(), settings=hasty) as seen,
    ):
        seen.wait(Disconnected)
    assert [type(signal) for signal in seen.others[:2]] == [Waiting, Disconnected]
    assert seen.reasons[0] == "data but no key picture for 2 s; set a shorter interval of key pictures in the camera"


X265 = "keyint=125:min-keyint=125:scenecut=0:bframes=0:log-level=none"
CODECS = {
    "libx264": {**LONG, "g": "125", "keyint_min": "125"},
    "libx265": {"preset": "ultrafast", "x265-params": X265},
    "mpeg2video": {"g": "125", "sc_threshold": "1000000000"},
}


@pytest.mark.parametrize("codec", CODECS)
def test_of_a_stream_whose_size_only_its_key_picture_tells_nothing_grey_is_shown_and_clips_are_cut(
    tmp_path: Path, codec: str
) -> None:
    film, clip = tmp_path / "film.ts", tmp_path / "clip.mp4"
    shoot(film, format="mpegts", frames=200, codec=codec, options=CODECS[codec])
    with (
        serving({"/live.ts": playing(film, from_s=2.0)}) as camera,
        following(camera.address("live.ts"), settings=UNHURRIED, footage_s=30) as seen,
    ):
        seen.wait(Frame, number=4)
        seen.feed.footage.clip(clip, from_s=0.0, to_s=60.0)
    assert [number_in(frame.image) for frame in seen.frames[:4]] == pytest.approx([125, 138, 150, 163], abs=1)
    assert not any("could not be decoded" in problem for problem in seen.feed.problems)
    with av.open(str(clip)) as container:
        assert number_in(next(container.decode(video=0)).to_ndarray(format="rgb24")) == 125
