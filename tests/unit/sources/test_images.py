import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vigil.errors import SourceError
from vigil.frames import FrameSampling, fit_size
from vigil.sources import images
from vigil.sources.images import read_images


def sketch(size_wh: tuple[int, int] = (320, 240), mode: str = "RGB") -> Image.Image:
    """A picture that is red on the left and blue on the right."""
    image = Image.new("RGB", size_wh, (200, 20, 20))
    image.paste((20, 20, 200), (size_wh[0] // 2, 0, *size_wh))
    return image.convert(mode)


def data(image: Image.Image, format: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **how)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_pictures_come_from_files_and_from_bytes(tmp_path: Path, sampling: FrameSampling, format: str) -> None:
    raw = data(sketch(), format)
    path = tmp_path / "picture"
    path.write_bytes(raw)
    frames = read_images([path, raw], sampling)
    assert [frame.time_s for frame in frames] == [0.0, 0.5]
    assert np.array_equal(frames[0].image, frames[1].image)
    height, width = frames[0].image.shape[:2]
    assert (width, height) == fit_size(320, 240, max_pixels=sampling.max_pixels)
    assert np.abs(frames[0].image[100, 10].astype(int) - (200, 20, 20)).max() < 12


def test_exif_sets_a_picture_upright(sampling: FrameSampling) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn to the right
    (frame,) = read_images([data(sketch(), "JPEG", exif=exif)], sampling)
    height, width = frame.image.shape[:2]
    assert (width, height) == fit_size(240, 320, max_pixels=sampling.max_pixels)
    assert frame.image[10, 100, 0] > 150
    assert frame.image[-10, 100, 2] > 150


def test_what_is_transparent_becomes_white(sampling: FrameSampling) -> None:
    (frame,) = read_images([data(Image.new("RGBA", (128, 128), (0, 0, 0, 0)), "PNG")], sampling)
    assert frame.image.min() == 255


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA"])
def test_other_kinds_of_colour_become_rgb(sampling: FrameSampling, mode: str) -> None:
    format = "JPEG" if mode == "CMYK" else "PNG"
    (frame,) = read_images([data(sketch(mode=mode), format)], sampling)
    assert frame.image.ndim == 3


def test_sixteen_bit_grey_is_scaled_and_not_cut_off(sampling: FrameSampling) -> None:
    grey = np.tile(np.linspace(0, 65_535, 128, dtype=np.uint16), (128, 1))
    (frame,) = read_images([data(Image.fromarray(grey), "PNG")], sampling)
    assert 120 < frame.image[64, 64, 0] < 136


@pytest.mark.parametrize("broken", [b"", b"no picture", data(sketch(), "PNG")[:200], data(sketch(), "JPEG")[:300]])
def test_broken_bytes_are_refused_by_their_place(sampling: FrameSampling, broken: bytes) -> None:
    with pytest.raises(SourceError, match="picture 2 cannot be read as a picture"):
        read_images([data(sketch(), "PNG"), broken], sampling)


def test_a_picture_too_large_to_be_meant_is_refused(sampling: FrameSampling) -> None:
    with pytest.raises(SourceError, match=r"5001x5000 pixels; 25,000,000 are the most"):
        read_images([data(Image.new("1", (5001, 5000)), "PNG")], sampling)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_a_picture_is_the_same_in_bands_as_in_one_piece(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (97, 131, 3), np.uint8)
    raw = data(Image.fromarray(noise).convert("L" if mode.startswith("I") else mode).convert(mode), "PNG")
    whole = images.read_image(raw, max_pixels=None)
    monkeypatch.setattr(images, "BAND_PIXELS", 500)
    assert np.array_equal(images.read_image(raw, max_pixels=None), whole)
    assert whole.shape == (97, 131, 3)


def test_a_file_too_long_for_a_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(data(sketch(), "PNG"))
    os.truncate(path, images.MAX_FILE_BYTES + 1)
    with pytest.raises(SourceError, match="bytes; 134,217,728 are the most"):
        images.read_image(path, max_pixels=4096)


def test_a_missing_file_is_named(tmp_path: Path, sampling: FrameSampling) -> None:
    with pytest.raises(SourceError, match=r"gone\.jpg cannot be read"):
        read_images([tmp_path / "gone.jpg"], sampling)
