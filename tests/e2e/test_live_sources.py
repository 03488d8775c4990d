"""Live sources whose cameras are real processes: killed, frozen, replaced and brought back, at the shipped timeouts.

Nothing here measures this machine: what happens is waited for, and time is what the pictures say, 25 numbers a second.
How long it takes is printed by `benchmarks/outages.py`.
"""

import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

import http_camera
import rtsp_server
from films import number_in, shoot
from live_seeing import Seen, following
from vigil.frames import Frame
from vigil.sources.open_capture import CaptureSettings, Connected, Disconnected

pytestmark = pytest.mark.e2e

SHIPPED = CaptureSettings()
PATIENT = replace(SHIPPED, open_timeout_s=600, read_timeout_s=600)
"""As a hardly ever lost one: it waits longer than any test lasts."""

SECOND = 25
"""Pictures of the films."""

NUMBERS = 1024
FILM_OPTIONS = {"g": "25", "bf": "0", "preset": "ultrafast"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "small.mp4"
    shoot(path, frames=1500, options=FILM_OPTIONS)
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "large.mp4"
    shoot(path, frames=250, size_wh=(640, 480), options=FILM_OPTIONS)
    return path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def watched(stack: ExitStack, *watches: tuple[rtsp_server.Running, CaptureSettings]) -> list[Seen]:
    """Feeds of these cameras with these settings, all of which give frames."""
    feeds = [stack.enter_context(following(camera.address(), settings=settings)) for camera, settings in watches]
    go_on(*feeds, frames=3)
    return feeds


def go_on(*feeds: Seen, frames: int = 1) -> None:
    """Waits until each feed has given so many frames more."""
    numbers = [len(seen.frames) + frames for seen in feeds]
    for seen, number in zip(feeds, numbers, strict=True):
        seen.wait(Frame, number=number)


def back(seen: Seen, *, connections: int = 2) -> None:
    """Waits until a lost source has been connected to so often, and gives frames."""
    seen.wait(Connected, number=connections)
    go_on(seen)


def steps(frames: Sequence[Frame]) -> list[int]:
    """How many pictures of the film lie between each two frames."""
    numbers = [number_in(frame.image) for frame in frames]
    return [(after - before) % NUMBERS for before, after in pairwise(numbers)]


def assert_unaffected(seen: Seen) -> None:
    """No second of the film was missed since the feed was `watched`, and the connection stood all the time."""
    assert seen.reasons == []
    # Before that, FFmpeg hands out at once what it gathered while it was opening.
    assert max(steps(seen.frames[2:])) < SECOND


def waits(seen: Seen) -> list[float]:
    """How long the feed has chosen to wait before each new attempt."""
    return [lost.retry_s for lost in seen.others if isinstance(lost, Disconnected)]


def test_a_camera_that_is_killed_comes_back_with_another_resolution(stack: ExitStack, small: Path, large: Path) -> None:
    camera = stack.enter_context(rtsp_server.running(small))
    other = stack.enter_context(rtsp_server.running(small))
    seen, calm = watched(stack, (camera, SHIPPED), (other, SHIPPED))
    camera.process.kill()
    seen.wait(Disconnected)
    go_on(calm, frames=10)  # five seconds of its film, in which the other one is away
    stack.enter_context(rtsp_server.running(large, port=camera.port))
    back(seen)
    # Known by the connection that broke, not by a silence as long as the read timeout.
    assert not any("no pictures for" in reason for reason in seen.reasons)
    assert waits(seen)[0] <= SHIPPED.retry_min_s and max(waits(seen)) <= SHIPPED.retry_max_s
    sizes = [signal.size_wh for signal in seen.others if isinstance(signal, Connected)]
    assert sizes == [(320, 240), (640, 480)]
    assert {frame.image.shape for frame in seen.frames} == {(256, 320, 3), (288, 384, 3)}
    times = [frame.time_s for frame in seen.frames]
    assert times == sorted(times)
    assert_unaffected(calm)


def test_a_camera_that_freezes_is_noticed_by_the_read_timeout_and_by_nothing_else(
    stack: ExitStack, small: Path
) -> None:
    camera = stack.enter_context(rtsp_server.running(small))
    other = stack.enter_context(rtsp_server.running(small))
    seen, patient, calm = watched(stack, (camera, SHIPPED), (camera, PATIENT), (other, SHIPPED))
    camera.process.send_signal(signal.SIGSTOP)
    seen.wait(Disconnected)
    go_on(calm, frames=6)  # three seconds more
    assert patient.reasons == []  # so the limit it was, and nothing that the camera did
    camera.process.send_signal(signal.SIGCONT)
    back(seen)
    go_on(patient)
    assert seen.reasons[0] == "no pictures for 5 s"
    assert patient.reasons == []
    assert_unaffected(calm)


def test_a_camera_replaced_by_one_that_never_answers(stack: ExitStack, small: Path) -> None:
    camera = stack.enter_context(rtsp_server.running(small))
    other = stack.enter_context(rtsp_server.running(small))
    seen, calm = watched(stack, (camera, SHIPPED), (other, SHIPPED))
    camera.process.kill()
    camera.process.wait()
    with rtsp_server.running(small, port=camera.port, options=["--mute"]):
        seen.wait_for_reason("no pictures for 5 s")
    stack.enter_context(rtsp_server.running(small, port=camera.port))
    back(seen)
    assert seen.reasons[0] != "no pictures for 5 s"  # the first one's end was felt at once
    assert_unaffected(calm)


def test_stopping_takes_no_longer_than_the_read_timeout_though_the_camera_is_frozen(
    stack: ExitStack, small: Path
) -> None:
    camera = stack.enter_context(rtsp_server.running(small))
    other = stack.enter_context(rtsp_server.running(small))
    # No other timeout than the one for reading can end it.
    settings = replace(PATIENT, read_timeout_s=SHIPPED.read_timeout_s, picture_timeout_s=600, hls_timeout_s=600)
    seen, calm = watched(stack, (camera, settings), (other, SHIPPED))
    camera.process.send_signal(signal.SIGSTOP)
    go_on(calm, frames=2)
    assert seen.others[1:] == []  # it waits for the camera
    seen.stop.set()
    seen.until_ended()
    assert seen.ended_s is not None
    assert seen.reasons == []


LIES = {
    "fast": ["--clock", "2"],
    "slow": ["--clock", "0.5"],
    "still": ["--clock", "0"],
    "leap": ["--clock-jump", "6", "7200"],
    "back": ["--clock-jump", "6", "-7200"],
}
FOUND_OUT_S = 12.0
"""From then on a clock that runs wrong is known to do so."""

LATE_FRAMES = 20


def late(seen: Seen) -> list[Frame]:
    """What came when the camera's clock had been found out."""
    return [frame for frame in seen.frames if frame.time_s > FOUND_OUT_S]


@pytest.fixture(scope="module")
def liars(small: Path) -> dict[str, Seen]:
    """What was seen of cameras whose clocks lie, all at once, until each had given enough frames after that."""
    with ExitStack() as stack:
        cameras = [stack.enter_context(rtsp_server.running(small, options=lie)) for lie in LIES.values()]
        seen = dict(zip(LIES, watched(stack, *((camera, SHIPPED) for camera in cameras)), strict=True))
        for each in seen.values():
            while len(late(each)) < LATE_FRAMES:
                go_on(each)
        for each in seen.values():
            each.stop.set()
        for each in seen.values():
            each.until_ended()
    return seen


@pytest.mark.parametrize("lie", LIES)
def test_a_camera_that_lies_about_its_clock_is_sampled_by_the_truth(liars: dict[str, Seen], lie: str) -> None:
    seen = liars[lie]
    times = [frame.time_s for frame in seen.frames]
    # Half a second of the film as a rule: one that is timed by its arrival may come late, the next one early.
    assert median(steps(late(seen))) == pytest.approx(SECOND / 2, abs=1.5)
    assert len(times) <= 2 * (times[-1] - times[0]) + 2
    assert any("clock" in problem for problem in seen.feed.problems)
    epoch_s = seen.feed.started_utc_s or 0.0
    held_s = [(frame.captured_s or 0) - epoch_s - frame.time_s for frame in late(seen)]
    assert min(held_s) > -0.05 and median(held_s) < 3.1


def test_a_silent_camera_holds_up_no_other(stack: ExitStack, small: Path) -> None:
    silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    camera = stack.enter_context(rtsp_server.running(small))
    address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
    mute = stack.enter_context(following(address, settings=PATIENT))
    lost = stack.enter_context(following(address, settings=SHIPPED))
    good = [stack.enter_context(following(camera.address(), settings=SHIPPED)) for _ in range(3)]
    lost.wait(Disconnected)
    go_on(*good)
    # All three have opened while the one that nobody tells anything was still being asked for the first time.
    assert mute.others == [] and mute.ended_s is None
    assert lost.reasons[0] == "no pictures for 5 s"
    silent.close()
    mute.wait(Disconnected)


@pytest.mark.parametrize("path", ["live.mjpg", "live.m3u8"])
def test_an_http_camera_that_is_killed_comes_back(stack: ExitStack, small: Path, path: str) -> None:
    camera, port = stack.enter_context(http_camera.running(small, 0))
    settings = replace(SHIPPED, hls_timeout_s=600, read_timeout_s=600)
    seen = stack.enter_context(following(f"http://127.0.0.1:{port}/{path}", settings=settings))
    seen.wait(Frame, number=3)
    camera.kill()
    camera.wait()
    # By the broken connection: the limit of silence is longer than the test.
    seen.wait(Disconnected)
    stack.enter_context(http_camera.running(small, port))
    back(seen)
