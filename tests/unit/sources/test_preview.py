"""Pictures for people: at their rate and size, and only while somebody looks."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

import rtsp_server
from films import Film, number_in, shoot
from live_seeing import Plugged
from vigil.frames import Frame, FrameSampling, decode_jpeg
from vigil.sources.address import find_sources
from vigil.sources.capture import LiveCapture
from vigil.sources.lazy_decoder import LazyDecoder
from vigil.sources.open_capture import CaptureItem, CaptureSettings, FileCapture, open_capture
from vigil.sources.preview import PreviewEncoder
from vigil.sources.timestamps import FrameSampler
from vigil.sources.video_file import open_video
from vigil.sources.webcam import Webcam
from waiting import Hands

CAMERA = {"bf": "0", "g": "25", "x264-params": "scenecut=0"}
UNHURRIED = CaptureSettings(open_timeout_s=20, read_timeout_s=20, retry_min_s=0.05, retry_max_s=0.05)


class Looker:
    """Somebody who looks, or does not."""

    def __init__(
        self,
        *,
        fps: float = 5.0,
        longest_px: int = 160,
        looks: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.looks = looks
        self.clock = clock
        self.shown: list[tuple[bytes, float]] = []
        self.came_s: list[float] = []
        self.previewer = PreviewEncoder(fps=fps, longest_px=longest_px, is_wanted=lambda: self.looks, show=self.show)

    def show(self, jpeg: bytes, time_s: float) -> None:
        self.shown.append((jpeg, time_s))
        self.came_s.append(self.clock())

    @property
    def times(self) -> list[float]:
        return [time_s for _, time_s in self.shown]

    @property
    def sizes(self) -> set[tuple[int, int]]:
        return {decode_jpeg(jpeg).shape[1::-1] for jpeg, _ in self.shown}


@pytest.mark.parametrize(("source_fps", "fps"), [(25, 5), (30, 5), (12, 5), (5, 5), (3, 5), (25, 25), (7, 2)])
def test_pictures_are_taken_at_the_wanted_rate_or_as_they_come(source_fps: int, fps: int) -> None:
    previewer = Looker(fps=fps).previewer
    taken = sum(previewer.accept(1000.0 + i / source_fps) for i in range(20 * source_fps))
    assert taken == pytest.approx(20 * min(fps, source_fps), abs=2)


def test_nothing_is_taken_while_nobody_looks_and_the_clock_may_begin_anew() -> None:
    looker = Looker(looks=False)
    previewer = looker.previewer
    assert not previewer.accept(1.0) and previewer.next_s is None
    looker.looks = True
    assert previewer.accept(500.0) and not previewer.accept(500.1) and previewer.next_s == pytest.approx(500.2)
    assert previewer.accept(0.0) and not previewer.accept(0.1) and previewer.accept(0.2)


def test_a_file_that_plays_as_a_camera_shows_its_pictures_when_they_are_due(film: Film) -> None:
    path = film("a.mp4", frames=50, size_wh=(320, 240))
    hands = Hands()
    looker = Looker(clock=hands)
    feed = FileCapture(
        path,
        FrameSampling(),
        stop=hands.stop,
        realtime=True,
        previewer=looker.previewer,
        clock=hands,
        wall_clock=hands,
    )
    assert len(list(feed.read())) == 5
    assert looker.times == pytest.approx([i / 5 for i in range(10)], abs=0.041)
    assert looker.came_s == pytest.approx([1000.0 + time_s for time_s in looker.times])
    assert looker.sizes == {(160, 120)}
    assert [number_in(decode_jpeg(jpeg)) for jpeg, _ in looker.shown][:3] == [0, 5, 10]


def test_a_file_at_full_speed_shows_nothing(film: Film) -> None:
    looker = Looker()
    (address,) = find_sources([str(film("a.mp4", frames=50))])
    list(open_capture(address, FrameSampling(), stop=threading.Event(), previewer=looker.previewer).read())
    assert looker.shown == []


@pytest.mark.parametrize("looks", [True, False])
def test_the_frames_that_the_model_sees_are_the_same_whoever_looks(film: Film, looks: bool) -> None:
    path = film("a.mp4", frames=120, options={"g": "25", "bf": "2"})
    looker = Looker(looks=looks)
    with open_video(path, FrameSampling()) as alone, open_video(path, FrameSampling()) as looked_at:
        pairs = zip(alone.frames(), looked_at.frames(previewer=looker.previewer), strict=True)
        assert all(a.time_s == b.time_s and np.array_equal(a.image, b.image) for a, b in pairs)
    assert len(looker.shown) == (24 if looks else 0)


@pytest.mark.parametrize("looks", [True, False])
def test_a_camera_is_decoded_in_full_only_while_somebody_looks(film: Film, looks: bool) -> None:
    path = film("a.mp4", frames=300, options=CAMERA)
    sampler, looker = FrameSampler(2.0), Looker(looks=looks)
    kept, shown = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        decoder = LazyDecoder(stream.codec_context, sampler, previewer=looker.previewer)
        for packet in (packet for packet in container.demux(stream) if packet.size):
            for picture in decoder.push(packet, float(packet.pts * packet.time_base)):
                kept += [picture.time] * sampler.accept(picture.time)
                shown += [picture.time] * looker.previewer.accept(picture.time)
    assert len(kept) == 24
    assert len(shown) == (60 if looks else 0)
    # Between the last picture that is due and the next key picture nothing need be decoded, whoever looks.
    assert decoder.left_out < 50 if looks else decoder.left_out > 90


def frames_of(signals: Iterator[CaptureItem], count: int) -> None:
    """Goes on until so many more frames for the model have come."""
    while count:
        count -= isinstance(next(signals), Frame)


def test_an_rtsp_camera_is_shown_five_times_a_second_from_when_somebody_looks(tmp_path: Path) -> None:
    path = tmp_path / "yard.mp4"
    faststart = {"movflags": "faststart"}
    shoot(
        path,
        frames=250,
        size_wh=(640, 360),
        options={"g": "25", "bf": "0", "preset": "ultrafast"},
        container_options=faststart,
    )
    looker = Looker(looks=False, longest_px=320)
    stop = threading.Event()
    with rtsp_server.running(path) as camera:
        (address,) = find_sources([camera.address()])
        feed = open_capture(address, FrameSampling(), stop=stop, settings=CaptureSettings(), previewer=looker.previewer)
        signals = feed.read()
        frames_of(signals, 3)
        assert looker.shown == []
        looker.looks = True
        while len(looker.shown) < 11:
            next(signals)
        looker.looks = False
        shown = len(looker.shown)
        frames_of(signals, 2)
        stop.set()
    assert len(looker.shown) == shown <= 16
    assert all(0.1 < after - before < 0.4 for before, after in pairwise(looker.times))
    numbers = [number_in(decode_jpeg(jpeg)) for jpeg, _ in looker.shown]
    assert all(4 <= after - before <= 6 for before, after in pairwise(numbers)), numbers
    assert looker.sizes == {(320, 180)}


def test_a_webcam_is_shown_while_somebody_looks_and_its_frames_still_come(film: Film) -> None:
    path = film("a.avi", frames=60, codec="mjpeg", pixels="yuvj420p")
    for looks in (True, False):
        stop, looker = threading.Event(), Looker(fps=10, looks=looks)
        webcam = Webcam(
            0,
            FrameSampling(fps=5),
            stop=stop,
            settings=UNHURRIED,
            opener=lambda _: Plugged(path),
            previewer=looker.previewer,
        )
        feed = LiveCapture(webcam, stop=stop, settings=UNHURRIED)
        frames = 0
        for signal in feed.read():
            frames += isinstance(signal, Frame)
            # Unplugged at the end of its film, it is opened again.
            if frames >= 4 and (len(looker.shown) >= 6 or not looks):
                stop.set()
        # A picture each tenth of a second, fewer where the machine is busy.
        most = 10 * (looker.times[-1] - looker.times[0]) + 2 * (1 + feed.disconnects) if looks else 0
        assert len(looker.shown) <= most and looker.sizes == ({(160, 120)} if looks else set())
