"""Clips of a camera that changed its picture size inside one connection, played from end to end by a real Chromium."""

from pathlib import Path

import pytest

from browsing import chromium
from films import shoot_sizes
from live_seeing import UNHURRIED, following
from odd_camera import playing, serving, told
from vigil.frames import Frame
from waiting import HANG_MS

pytestmark = pytest.mark.e2e

PAGE = b"<video muted src='clip.mp4'></video>"
PLAYED = """async () => {
  const video = document.querySelector("video");
  const over = new Promise((done) => {
    video.onended = () => done("ended");
    video.onerror = () => done(`error: ${video.error.message}`);
  });
  if (video.error) return [`error: ${video.error.message}`, 0, []];
  video.play().catch(() => {});
  return [await over, video.currentTime, [video.videoWidth, video.videoHeight]];
}"""


@pytest.mark.parametrize("name", ["film.ts", "film.flv"])
@pytest.mark.parametrize("sizes_wh", [[(320, 240), (640, 360)], [(640, 480), (320, 240)]])
def test_a_clip_across_a_change_of_size_plays_from_end_to_end(
    tmp_path: Path, sizes_wh: list[tuple[int, int]], name: str
) -> None:
    film, clip = tmp_path / name, tmp_path / "clip.mp4"
    shoot_sizes(film, sizes_wh, frames=75)
    with (
        serving({"/live": playing(film, from_s=0.0)}) as camera,
        following(camera.address("live"), settings=UNHURRIED, footage_s=30) as seen,
    ):
        seen.wait(Frame, number=11)
        seen.feed.footage.clip(clip, from_s=0.0, to_s=60.0)
    answers = {"/": told(PAGE, "text/html"), "/clip.mp4": told(clip.read_bytes(), "video/mp4")}
    with serving(answers) as shown, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(HANG_MS)
        page.goto(shown.address(""))
        how, at_s, size_wh = page.evaluate(PLAYED)
    assert how == "ended"
    assert at_s > 4.5 and tuple(size_wh) == sizes_wh[0]
