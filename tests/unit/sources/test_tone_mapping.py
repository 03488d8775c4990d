"""HLG and PQ in BT.2020, as phones record: every picture looks like the one that was meant."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vigil.frames import RGB, FrameSampling
from vigil.sources.footage import FileFootage
from vigil.sources.images import read_image
from vigil.sources.video_file import open_video, read_frames
from vigil.sources.video_info import full_size_frames

Light = NDArray[np.float64]

SIZE_WH = (320, 256)
PATCHES = (
    *((255, 255, 255), (200, 200, 200), (128, 128, 128), (64, 64, 64), (16, 16, 16)),
    *((220, 40, 40), (40, 200, 60), (50, 60, 220), (230, 200, 30), (120, 80, 60)),
)
FROM_BT709 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
LUMA = np.array([0.2627, 0.6780, 0.0593])
WHITE_CD_M2 = 203
BT2020, FULL_RANGE, LIMITED_RANGE = 9, 2, 1
CLOSE = 15


def scene() -> RGB:
    image = np.empty((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    for number, colour in enumerate(PATCHES):
        image[:, number * 32 : (number + 1) * 32] = colour
    return image


def light_of(image: RGB) -> Light:
    code = image / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) @ FROM_BT709.T


def as_pq(light: Light) -> Light:
    power = np.clip(light * WHITE_CD_M2 / 10_000, 0, 1) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def as_hlg(light: Light) -> Light:
    shown = light * WHITE_CD_M2 / 1000
    luma = np.maximum(shown @ LUMA, 1e-9)[..., None]
    seen = np.clip(shown * luma ** (1 / 1.2 - 1), 1e-9, 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(seen <= 1 / 12, np.sqrt(3 * seen), a * np.log(np.maximum(12 * seen - b, 1e-9)) + c)


def as_bt2020(light: Light) -> Light:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


WAYS: dict[str, tuple[int, str, Callable[[Light], Light]]] = {
    "PQ": (16, "smpte2084", as_pq),
    "HLG": (18, "arib-std-b67", as_hlg),
    "wide colours": (14, "bt2020-10", as_bt2020),
}
each_way = pytest.mark.parametrize("way", WAYS)


def film(path: Path, way: str, *, codec: str = "libx265", brighter: float = 1.0) -> Path:
    number, name, curve = WAYS[way]
    planes = planes_of(curve(light_of(scene()) * brighter))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p10le"
        tags = f"colorprim=bt2020:transfer={name}:colormatrix=bt2020nc"
        stream.options = {"x265-params": f"log-level=none:{tags}"} if codec == "libx265" else {"x264-params": tags}
        told = stream.codec_context
        told.color_primaries, told.color_trc, told.colorspace, told.color_range = BT2020, number, BT2020, LIMITED_RANGE
        for tick in range(25):
            frame = frame_of(planes)
            frame.pts, frame.time_base = tick, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def planes_of(code: Light) -> tuple[NDArray[np.uint16], ...]:
    luma = code @ LUMA
    blue, red = (code[..., 2] - luma) / 1.8814, (code[..., 0] - luma) / 1.4746
    halves = (np.round(512 + 896 * each)[::2, ::2] for each in (blue, red))
    return tuple(plane.astype(np.uint16) for plane in (np.round(64 + 876 * luma), *halves))


def frame_of(planes: tuple[NDArray[np.uint16], ...]) -> Any:
    frame = av.VideoFrame(*SIZE_WH, "yuv420p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def off(image: RGB, wanted: RGB | None = None) -> int:
    """The largest difference in the middle of a patch, in grey levels."""
    assert image.shape == scene().shape
    row = slice(image.shape[0] // 2, image.shape[0] // 2 + 1)
    wanted = scene() if wanted is None else wanted
    return int(np.abs(image[row, 16::32].astype(int) - wanted[row, 16::32]).max())


@each_way
@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_frames_and_films_look_as_they_were_meant(tmp_path: Path, way: str, codec: str) -> None:
    path = film(tmp_path / "phone.mp4", way, codec=codec)
    assert off(next(iter(read_frames(path, FrameSampling()))).image) <= CLOSE
    assert off(next(full_size_frames(path))[0]) <= CLOSE


@each_way
def test_clips_and_snapshots_look_as_they_were_meant(tmp_path: Path, way: str) -> None:
    footage = FileFootage(film(tmp_path / "phone.mp4", way))
    footage.snapshot(tmp_path / "snapshot.jpg", at_s=0.4)
    assert off(read_image(tmp_path / "snapshot.jpg", max_pixels=None)) <= CLOSE
    footage.clip(tmp_path / "clip.mp4", from_s=0.2, to_s=0.8)
    assert off(next(full_size_frames(tmp_path / "clip.mp4"))[0]) <= CLOSE
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].codec_context.color_trc not in (16, 18)


@pytest.mark.parametrize("way", ["PQ", "HLG"])
def test_what_is_brighter_than_paper_stays_apart_and_keeps_its_hue(tmp_path: Path, way: str) -> None:
    image = next(iter(read_frames(film(tmp_path / "lamp.mp4", way, brighter=2.5), FrameSampling()))).image
    white, grey, middle, red = (image[128, 16 + 32 * place].astype(int) for place in (0, 1, 2, 5))
    assert middle.max() < grey.min() < white.min()
    assert red[0] > 200 and red[1:].max() < 120


def test_the_pictures_are_scaled_before_their_tones_are(tmp_path: Path) -> None:
    image = next(iter(read_frames(film(tmp_path / "phone.mp4", "PQ"), FrameSampling(max_pixels=20_480)))).image
    assert image.shape == (128, 160, 3)
    assert np.abs(image[64, 8::16].astype(int) - scene()[128, 16::32]).max() <= CLOSE


def test_what_is_told_of_a_film_is_its_stored_size(tmp_path: Path) -> None:
    with open_video(film(tmp_path / "phone.mp4", "HLG"), FrameSampling()) as video:
        assert list(video.frames())
    assert video.size_wh == SIZE_WH and video.problems == ()
