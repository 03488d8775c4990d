"""A Chromium whose webcam shows a clip: its fake device, fed from a file."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from playwright.sync_api import Browser

import people
from browsing import chromium


@contextmanager
def chromium_with_webcam(folder: Path) -> Iterator[Browser]:
    """Runs it while the block lasts; nobody is asked whether the camera may be used."""
    (shown,) = people.clips("fight", 1, folder=folder)
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={_y4m(shown, folder / 'webcam.y4m')}",
    )
    with chromium(*flags) as running:
        yield running


def _y4m(clip: Path, path: Path) -> Path:
    """The first frames of a clip as Chromium's fake camera reads them."""
    with av.open(str(clip)) as film, path.open("wb") as file:
        file.write(b"YUV4MPEG2 W320 H240 F10:1 Ip A1:1 C420mpeg2\n")
        for frame in itertools.islice(film.decode(video=0), 60):
            planes = frame.reformat(320, 240, "yuv420p").to_ndarray()
            file.write(b"FRAME\n" + planes.tobytes())
    return path
