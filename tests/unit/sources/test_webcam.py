import threading
import time
from pathlib import Path

import pytest

from films import Film, number_in
from live_seeing import UNHURRIED, Plugged
from vigil.errors import SourceError
from vigil.frames import Frame, FrameSampling
from vigil.sources.capture import LiveCapture
from vigil.sources.open_capture import CaptureItem, CaptureSettings, Connected, Disconnected
from vigil.sources.webcam import Webcam

SOON = CaptureSettings(open_timeout_s=0.3, read_timeout_s=0.3, retry_min_s=0.05, retry_max_s=0.05)


def test_a_camera_that_is_not_there_is_a_clear_error(
    sampling: FrameSampling, capfd: pytest.CaptureFixture[str]
) -> None:
    webcam = Webcam(97, sampling, stop=threading.Event(), settings=CaptureSettings())
    with pytest.raises(SourceError, match="webcam 97 cannot be opened"):
        next(webcam.session(started_s=0.0))
    assert capfd.readouterr().err == "", "OpenCV writes to the screen at every attempt"


def test_a_webcam_gives_frames_and_when_it_is_unplugged_it_is_opened_again(film: Film, tmp_path: Path) -> None:
    path = film("a.avi", frames=20, codec="mjpeg", pixels="yuvj420p")
    stop = threading.Event()
    webcam = Webcam(
        0, FrameSampling(fps=10), stop=stop, settings=UNHURRIED, footage_s=10, opener=lambda _: Plugged(path)
    )
    feed = LiveCapture(webcam, stop=stop, settings=UNHURRIED)
    seen: list[CaptureItem] = []
    began_s = time.time()
    for signal in feed.read():
        seen.append(signal)
        # On a busy machine a session has less to show than the four pictures of an idle one.
        if isinstance(signal, Disconnected) and feed.disconnects >= 2 and len(seen) - 2 * feed.disconnects >= 4:
            stop.set()
    assert [type(s) for s in seen if not isinstance(s, Frame)] == [Connected, Disconnected] * feed.disconnects
    assert isinstance(seen[0], Connected)
    assert seen[0].size_wh == (320, 240)
    frames = [s for s in seen if isinstance(s, Frame)]
    assert number_in(frames[0].image) == 0
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    # Of 50 pictures a second one for each tenth that has begun, in each session.
    assert 4 <= len(frames) <= 10 * (times[-1] - times[0]) + 2 * feed.disconnects
    assert all(began_s <= (frame.captured_s or 0) <= time.time() for frame in frames)
    feed.footage.clip(tmp_path / "clip.mp4", from_s=0, to_s=5)
    assert (tmp_path / "clip.mp4").stat().st_size > 1000


def test_a_camera_that_hangs_is_lost_and_stops_nobody(film: Film) -> None:
    path = film("a.avi", frames=20, codec="mjpeg", pixels="yuvj420p")
    camera = Plugged(path, hangs_after=5)
    stop = threading.Event()
    webcam = Webcam(0, FrameSampling(fps=10), stop=stop, settings=SOON, opener=lambda _: camera)
    lost = next(s for s in LiveCapture(webcam, stop=stop, settings=SOON).read() if isinstance(s, Disconnected))
    # The driver is never let go before the loss is told.
    assert camera.hangs.is_set() and lost.reason == "webcam 0 has given no picture for 0.3 s"
    camera.released.set()


def test_a_driver_that_hangs_keeps_one_thread_and_the_camera_comes_back_when_it_lets_go(film: Film) -> None:
    path = film("a.avi", frames=20, codec="mjpeg", pixels="yuvj420p")
    let_go, stop, asked = threading.Event(), threading.Event(), []

    def hangs(number: int) -> Plugged:
        asked.append(number)
        let_go.wait()
        return Plugged(path)

    feed = LiveCapture(
        Webcam(96, FrameSampling(fps=10), stop=stop, settings=SOON, opener=hangs), stop=stop, settings=SOON
    )
    reasons: list[str] = []
    for signal in feed.read():
        if isinstance(signal, Connected):
            stop.set()
        elif isinstance(signal, Disconnected):
            reasons.append(signal.reason)
        if len(reasons) == 5 and not let_go.is_set():
            assert sum(thread.name == "webcam 96" for thread in threading.enumerate()) == len(asked) == 1
            let_go.set()
    assert "given no picture" in reasons[0] and "still held by its driver" in reasons[4] and len(asked) == 2
