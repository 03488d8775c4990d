"""MJPEG as cameras send it, and as browsers and OpenCV play it: parts without a type, of odd types, oddly divided."""

import itertools

import pytest

from films import number_in
from live_seeing import UNHURRIED, following
from odd_camera import Asked, serving
from odd_mjpeg import STYLES, sending
from vigil.frames import Frame, FrameSampling
from vigil.sources.open_capture import CaptureSettings, Connected, Disconnected


@pytest.mark.parametrize("name", STYLES)
def test_pictures_are_seen_however_they_are_divided(name: str) -> None:
    with (
        serving({"/video": sending(STYLES[name])}) as camera,
        following(camera.address("video"), settings=UNHURRIED, sampling=FrameSampling(fps=5)) as seen,
    ):
        seen.wait(Frame, number=6)
    connected = [signal for signal in seen.others if isinstance(signal, Connected)]
    assert {(signal.size_wh, signal.codec) for signal in connected} == {((320, 240), "mjpeg")}
    assert len(seen.reasons) <= (STYLES[name].odd_from > 0)
    # The pictures themselves, one after the other; how many of them a crowded host leaves out is its own affair.
    shown = [number_in(frame.image) for frame in seen.frames[-3:]]
    assert all(later > earlier for earlier, later in itertools.pairwise(shown)), shown
    assert not [problem for problem in seen.feed.problems if "decoded" in problem]


def test_a_page_of_text_that_never_ends_is_lost_with_a_reason() -> None:
    def answer(asked: Asked) -> None:
        asked.say("multipart/x-mixed-replace; boundary=next")
        while not asked.server.closing.wait(0.01):
            asked.wfile.write(b"<p>There is no camera here.</p>" * 20)

    hasty = CaptureSettings(open_timeout_s=1.0, read_timeout_s=1.0, retry_min_s=0.05, retry_max_s=0.1)
    with (
        serving({"/video": answer}) as camera,
        following(camera.address("video"), settings=hasty) as seen,
    ):
        seen.wait(Disconnected)
    assert not seen.frames
    assert "no video that can be read" in seen.reasons[0] or "no pictures for" in seen.reasons[0]
