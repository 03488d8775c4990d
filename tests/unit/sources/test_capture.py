import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import http_camera
import rtsp_server
from films import Film, number_in, shoot
from live_seeing import UNHURRIED, Seen, following
from vigil.errors import SourceError
from vigil.frames import RGB, Frame, FrameSampling
from vigil.sources.address import find_sources
from vigil.sources.capture import LiveCapture
from vigil.sources.footage import FileFootage, Footage
from vigil.sources.open_capture import CaptureSettings, Connected, Disconnected, open_capture
from waiting import Hands, until

SOON = CaptureSettings(
    open_timeout_s=1.0, read_timeout_s=0.5, hls_timeout_s=2.5, retry_min_s=0.1, retry_max_s=0.2, retry_reset_s=5
)


def numbers(seen: Seen) -> list[int]:
    """Which pictures of the film came."""
    return [number_in(frame.image) for frame in seen.frames]


BLACK: RGB = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of H.264 that a server can play from its start."""
    path = tmp_path_factory.mktemp("films") / "yard.mp4"
    options = {"g": "25", "bf": "0", "preset": "ultrafast"}
    shoot(path, frames=500, options=options, container_options={"movflags": "faststart"})
    return path


@pytest.fixture(scope="module")
def rtsp(yard: Path) -> Iterator[rtsp_server.Running]:
    with rtsp_server.running(yard, options=["--login", "admin:right"]) as camera:
        yield camera


@pytest.fixture
def http(yard: Path) -> Iterator[http_camera.HttpCamera]:
    with http_camera.serving(yard) as camera:
        yield camera


def test_an_rtsp_camera_gives_two_frames_a_second_and_clips_of_what_it_sent(
    rtsp: rtsp_server.Running, tmp_path: Path
) -> None:
    with following(rtsp.address(login="admin:right"), settings=UNHURRIED, footage_s=30) as seen:
        # At first what the camera had sent meanwhile comes at once, on a busy machine more of it.
        until(lambda: is_steady(seen.frames[-3:]))
        clip = tmp_path / "clip.mp4"
        seen.feed.footage.clip(clip, from_s=0.0, to_s=60.0)
        seen.feed.footage.snapshot(tmp_path / "snapshot.jpg", at_s=seen.frames[-1].time_s)
    connected = seen.others[0]
    assert isinstance(connected, Connected)
    assert (connected.size_wh, connected.codec) == ((320, 240), "h264")
    assert all(before < after for before, after in pairwise(numbers(seen)))
    epoch_s = seen.feed.started_utc_s
    assert epoch_s is not None
    # No picture is later than its arrival, at which `captured_s` is taken; a millisecond is for rounding.
    assert all(f.time_s - 0.001 <= (f.captured_s or 0) - epoch_s <= time.time() - epoch_s for f in seen.frames)
    with av.open(str(clip)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 15


def is_steady(frames: Sequence[Frame]) -> bool:
    """Whether three frames follow each other as two a second of 25 pictures do."""
    steps = [number_in(after.image) - number_in(before.image) for before, after in pairwise(frames)]
    steps_s = [after.time_s - before.time_s for before, after in pairwise(frames)]
    return len(steps) == 2 and set(steps) <= {12, 13} and all(0.45 < step_s < 0.55 for step_s in steps_s)


def test_no_password_reaches_a_reason_a_log_or_the_screen(
    rtsp: rtsp_server.Running,
    http: http_camera.HttpCamera,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Tests before this one may have left handlers whose streams are closed by now.
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])
    locations = [
        rtsp.address(login="admin:hunter2"),
        http.address("nowhere?password=hunter2").replace("//", "//admin:hunter2@"),
        "http://admin:hunter2@127.0.0.1:9/x?token=hunter2",
        "rtsp://admin:hunter2@127.0.0.1:9/x",
        "https://admin:hunter2@nowhere.invalid/x",
        http.address("passwd/hunter2/live.m3u8?psw=hunter2"),
        http.address("page?jwt=hunter2"),
        rtsp.address("hunter2/live?loginpas=hunter2"),
    ]
    told = ""
    with caplog.at_level(logging.DEBUG):
        for location in locations:
            with following(location, settings=SOON) as seen:
                seen.wait(Disconnected)
            told += f"{find_sources([location])} {seen.others} {seen.feed.problems}\n"
    captured = capfd.readouterr()
    assert "hunter2" not in told + caplog.text + captured.out + captured.err
    assert captured.err == ""
    assert "401 Unauthorized" in told
    assert "check user and password" in told
    assert "404 Not Found" in told
    assert "Connection refused" in told


def test_an_mjpeg_camera_is_timed_by_arrival_as_its_clock_is_made_up(http: http_camera.HttpCamera) -> None:
    with following(http.address("live.mjpg"), settings=UNHURRIED, sampling=FrameSampling(fps=5)) as seen:
        # By its clock of 25 pictures a second, of which 10 come, each fifth would be kept, never a nearer one.
        until(lambda: any(after - before < 5 for before, after in pairwise(numbers(seen))))
    assert [replace(told, at_s=0.0) for told in seen.others] == [Connected((320, 240), 25.0, "mjpeg", 0.0)]
    assert seen.others[0].at_s == seen.frames[0].time_s > 0.0 and numbers(seen)[0] == 0


def test_a_stream_that_freezes_is_lost_and_comes_back(http: http_camera.HttpCamera) -> None:
    with following(http.address("live.mjpg"), settings=SOON) as seen:
        seen.wait(Frame)
        http.frozen.set()
        lost_s = seen.wait(Disconnected)
        http.frozen.clear()
        seen.wait_after(Connected, lost_s)
    assert seen.reasons[0] == "no pictures for 0.5 s"
    times = [frame.time_s for frame in seen.frames]
    assert times == sorted(times)


def test_a_live_playlist_starts_at_its_last_piece_and_goes_on_at_its_own_pace(http: http_camera.HttpCamera) -> None:
    with following(http.address("live.m3u8"), settings=UNHURRIED, sampling=FrameSampling(fps=4)) as seen:
        seen.wait(Frame, number=6)
    assert not seen.reasons
    assert is_paced(seen)
    assert numbers(seen)[0] == 50


def test_of_a_playlist_in_several_sizes_only_one_is_fetched(http: http_camera.HttpCamera) -> None:
    with following(http.address("master.m3u8"), settings=UNHURRIED, sampling=FrameSampling(fps=4)) as seen:
        seen.wait(Frame, number=6)
    assert http.requests["/live.m3u8?size=1"] > 1
    assert http.requests["/live.m3u8?size=2"] == 1


def test_a_file_on_a_server_plays_at_its_own_pace(http: http_camera.HttpCamera) -> None:
    with following(http.address("film.mp4"), settings=UNHURRIED, sampling=FrameSampling(fps=4)) as seen:
        seen.wait(Frame, number=3)
    assert is_paced(seen)


def is_paced(seen: Seen) -> bool:
    """Whether four frames a second came, each when it was due: what came before that would be timed by its arrival."""
    steps_s = [after.time_s - before.time_s for before, after in pairwise(seen.frames)]
    steps = [after - before for before, after in pairwise(numbers(seen))]
    return min(steps_s) > 0.2 and all(step in (6, 7) for step in steps)


@pytest.mark.parametrize("path", ["mute", "mute?list.m3u8"])
def test_a_server_that_never_answers_is_lost(http: http_camera.HttpCamera, path: str) -> None:
    with following(http.address(path), settings=SOON) as seen:
        seen.wait(Disconnected)
    assert seen.reasons[0] == "no pictures for 1 s"


def test_a_playlist_cannot_make_the_watcher_read_files(http: http_camera.HttpCamera) -> None:
    with following(http.address("evil.m3u8"), settings=SOON) as seen:
        seen.wait(Disconnected)
    assert not seen.frames


def test_something_else_than_video_is_lost_with_a_reason(http: http_camera.HttpCamera) -> None:
    with following(http.address("page"), settings=SOON) as seen:
        seen.wait(Disconnected, number=2)
    assert seen.reasons[0] == "Invalid data found when processing input; it sends no video that can be read"


def test_the_wait_for_the_next_attempt_ends_when_told_to_stop() -> None:
    patient = CaptureSettings(retry_min_s=3600, retry_max_s=3600)
    with following("rtsp://127.0.0.1:9/x", settings=patient) as seen:
        seen.wait(Disconnected)
    assert seen.ended_s is not None and len(seen.reasons) == 1


class Doors:
    """A camera whose connections are scripted: so many frames each, then a reason."""

    def __init__(self, *connections: int) -> None:
        self.connections = list(connections)
        self.footage: Footage = FileFootage(Path(os.devnull))
        self.problems = ("a scratch on the lens",)

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        for _ in range(self.connections.pop(0)):
            yield Frame(BLACK, time.monotonic() - started_s)
        raise SourceError("the door fell shut")


def test_every_end_of_a_connection_is_told_and_time_goes_on() -> None:
    stop = threading.Event()
    feed = LiveCapture(Doors(2, 0, 1, 0), stop=stop, settings=CaptureSettings(retry_min_s=0.01, retry_max_s=0.02))
    seen = []
    for signal in feed.read():
        seen.append(signal)
        if feed.disconnects == 4:
            stop.set()
    kinds = [type(signal).__name__ for signal in seen]
    assert kinds == ["Frame", "Frame", *["Disconnected"] * 2, "Frame", *["Disconnected"] * 2]
    times = [signal.time_s for signal in seen if isinstance(signal, Frame)]
    assert times == sorted(times)
    assert feed.problems == ("a scratch on the lens", "connection lost or not made 4 times")


def test_nothing_is_told_once_it_has_stopped() -> None:
    stop = threading.Event()
    stop.set()
    assert list(LiveCapture(Doors(3), stop=stop, settings=CaptureSettings()).read()) == []


def test_a_consumer_that_goes_away_closes_the_connection(http: http_camera.HttpCamera) -> None:
    (address,) = find_sources([http.address("live.mjpg")])
    signals = open_capture(address, FrameSampling(), stop=threading.Event(), settings=SOON, footage_s=5).read()
    next(signals)
    signals.close()  # type: ignore[attr-defined]
    assert list(signals) == []


def test_a_stopped_file_gives_no_frame(film: Film) -> None:
    (address,) = find_sources([str(film("a.mp4", frames=1))])
    stop = threading.Event()
    stop.set()
    assert len(list(open_capture(address, FrameSampling(), stop=stop).read())) == 1


class Steady:
    """A camera that gives a picture whenever it is asked, and was set to another time meanwhile."""

    footage: Footage = FileFootage(Path("none"))
    problems: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.hands = Hands()
        self.wall = Hands(1_700_000_000.0)

    def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
        yield Connected((64, 64), 10.0, "h264", 0.0)
        while True:
            self.pass_by(0.5)
            yield Frame(BLACK, self.hands() - started_s, self.wall())

    def pass_by(self, seconds: float) -> None:
        self.hands.now_s += seconds
        self.wall.now_s += seconds

    def feed(self) -> LiveCapture:
        return LiveCapture(self, stop=self.hands.stop, settings=SOON, clock=self.hands, wall_clock=self.wall)


@pytest.mark.parametrize("step_s", [3600.0, -3600.0, 5.0])
def test_times_of_day_are_right_again_when_the_clock_was_set(step_s: float) -> None:
    camera = Steady()
    feed = camera.feed()
    first_s = feed.started_utc_s
    camera.wall.now_s += step_s
    frames = [signal for signal, _ in zip(feed.read(), range(3), strict=False) if isinstance(signal, Frame)]
    assert feed.started_utc_s is not None and first_s == 1_700_000_000.0
    assert feed.started_utc_s - first_s == step_s
    assert [feed.started_utc_s + frame.time_s for frame in frames] == [frame.captured_s for frame in frames]


def test_a_clock_that_is_only_nudged_leaves_the_beginning_where_it_is() -> None:
    camera = Steady()
    feed = camera.feed()
    first_s = feed.started_utc_s
    camera.wall.now_s += 0.5
    camera.pass_by(600.0)
    assert feed.started_utc_s == first_s


def test_a_connection_whose_pictures_came_for_long_starts_the_waits_anew() -> None:
    hands = Hands()
    settings = CaptureSettings(retry_min_s=1.0, retry_max_s=64.0, retry_reset_s=30.0)

    class Lasting(Doors):
        def session(self, *, started_s: float) -> Iterator[Connected | Frame]:
            for signal in super().session(started_s=started_s):
                yield signal
                hands.now_s += 31.0

    feed = LiveCapture(Lasting(0, 0, 0, 0, 1, 0), stop=hands.stop, settings=settings, clock=hands)
    lost = [signal for _, signal in zip(range(7), feed.read(), strict=False) if isinstance(signal, Disconnected)]
    assert [signal.retry_s for signal in lost[:5]] == hands.waits
    assert hands.waits[3] >= 6.0 and hands.waits[4] <= 1.0 < lost[5].retry_s
