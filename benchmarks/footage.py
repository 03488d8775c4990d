"""The videos that benchmarks of decoding read: like those of cameras and like files, small and large.

Twenty-five frames a second and a key frame every 50, of real clips one after another or, without any, of a drawn
street with noise and moving figures.
"""

import itertools
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vigil.sources.address import find_videos

RATE = 25
SMALL, LARGE = (640, 360), (1920, 1080)


@dataclass(frozen=True, slots=True)
class Footage:
    """A kind of video: its size, its codec, and the encoder's settings."""

    name: str
    size_wh: tuple[int, int]
    seconds: int
    codec: str
    options: dict[str, str]


def constant(bits: int) -> dict[str, str]:
    """The encoder's settings for a constant `bits` a second."""
    return dict.fromkeys(("b", "minrate", "maxrate", "bufsize"), str(bits))


CAMERA = {"preset": "medium", "refs": "1", "bf": "0", "x264-params": "scenecut=0:nal-hrd=cbr"}
FILE = {"preset": "medium", "crf": "23", "bf": "3", "x264-params": "scenecut=0"}
H265 = {"preset": "fast", "crf": "26", "x265-params": "log-level=none:scenecut=0"}
FOOTAGE = (
    Footage("360p_b", SMALL, 60, "libx264", FILE),
    Footage("360p_camera", SMALL, 60, "libx264", {**CAMERA, **constant(1_000_000)}),
    Footage("1080p_b", LARGE, 20, "libx264", FILE),
    Footage("1080p_camera", LARGE, 20, "libx264", {**CAMERA, **constant(4_000_000)}),
    Footage("1080p_h265", LARGE, 20, "libx265", H265),
)


def shoot(footage: Footage, folder: Path, clips: Path | None) -> Path:
    """Encodes a video unless an earlier run has left it there."""
    path = folder / f"{footage.name}_{footage.seconds}s_{'clips' if clips else 'drawn'}.mp4"
    if path.exists():
        return path
    print(f"making {path.name}", file=sys.stderr)
    half_made = path.with_suffix(".partial.mp4")
    with av.open(str(half_made), "w") as container:
        stream = container.add_stream(footage.codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = footage.size_wh
        stream.pix_fmt = "yuv420p"
        stream.options = {"g": "50", **footage.options}
        for number, image in enumerate(real(footage, clips) if clips else street(footage)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    half_made.rename(path)
    return path


def real(footage: Footage, clips: Path) -> Iterator[np.ndarray]:
    """Pictures of the larger half of real clips, one clip after another, sized alike."""
    by_size = sorted(find_videos(clips), key=lambda path: path.stat().st_size, reverse=True)
    chosen = random.Random(1).sample(by_size[: len(by_size) // 2], len(by_size) // 2)
    pictures = (picture for path in itertools.cycle(chosen) for picture in pictures_of(path))
    for picture in itertools.islice(pictures, footage.seconds * RATE):
        yield cv2.resize(picture, footage.size_wh, interpolation=cv2.INTER_CUBIC)


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def street(footage: Footage) -> Iterator[np.ndarray]:
    """Pictures of a textured street, noise from the sensor, and a dozen figures on their way."""
    width, height = footage.size_wh
    dice = np.random.default_rng(1)
    texture = dice.normal(0, 1, (height // 4, width // 4, 3)).astype(np.float32)
    ground = 110 + 25 * cv2.resize(cv2.GaussianBlur(texture, (0, 0), 2), (width, height)) * 2
    noise = dice.normal(0, 3, (8, height, width, 1)).astype(np.float32)
    paths = dice.uniform(0, 1, (12, 4))

    def picture(number: int) -> np.ndarray:
        image = ground + noise[number % len(noise)]
        for x, y, speed, shade in paths:
            left = int((x + (speed - 0.5) * number / 200) % 1 * width)
            top = int(y * height * 0.8)
            image[top : top + height // 5, left : left + width // 16] += (shade - 0.5) * 160
        clipped: np.ndarray = image.clip(0, 255).astype(np.uint8)
        return clipped

    return map(picture, range(footage.seconds * RATE))
