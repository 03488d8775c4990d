"""Reads still pictures, from files or bytes, as RGB images or frames.

Pictures are untrusted: a few kilobytes can expand to gigabytes of pixels. The size is checked in the header before
decoding, and the conversion to RGB works in bands of rows, so that 25 megapixels take a few hundred megabytes at most.
Uploads of web visitors are decoded in a separate process (`vigil.sources.image_worker`).
"""

import io
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError, features

from vigil.errors import SourceError
from vigil.frames import PIXEL_MULTIPLE, RGB, Frame, FrameSampling, fit_size, resize
from vigil.sources.image_formats import kind_of, picture_kind

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", *(("AVIF",) if features.check("avif") else ()))
MAX_PIXELS = 25_000_000
"""More than most cameras and phones produce, and four times what the largest prompt shows."""

MAX_FILE_BYTES = 128 * 1024**2
"""Enough for a 32-bit BMP of `MAX_PIXELS`."""

BAND_PIXELS = 1_000_000
WHITE_8_BIT = 255.0
UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)
"""The errors Pillow raises for damaged pictures."""


def read_images(pictures: Iterable[Path | str | bytes], sampling: FrameSampling) -> list[Frame]:
    """Returns one frame per picture, `1 / sampling.fps` apart, upright by EXIF, each resized by `FrameSampling.fit`.

    Animated pictures give their first frame; transparent areas become white. Raises SourceError naming the picture.
    """
    return [
        Frame(
            read_image(
                picture,
                max_pixels=sampling.max_pixels,
                pixel_multiple=sampling.pixel_multiple,
                name=f"picture {index + 1}",
            ),
            index / sampling.fps,
        )
        for index, picture in enumerate(pictures)
    ]


def read_image(
    picture: Path | str | bytes,
    *,
    max_pixels: int | None,
    pixel_multiple: int = PIXEL_MULTIPLE,
    most_pixels: int = MAX_PIXELS,
    name: str = "the picture",
) -> RGB:
    """Returns one picture, upright and resized: `(H, W, 3) uint8 RGB`; `name` stands for bytes in messages.

    With `max_pixels=None` it keeps its size. Raises SourceError if it is unreadable or exceeds `most_pixels`.
    """
    with opened(picture, most_pixels=most_pixels, name=name) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        full = _rgb(image)
    height, width = full.shape[:2]
    if max_pixels is None:
        return full
    return resize(full, fit_size(width, height, max_pixels=max_pixels, pixel_multiple=pixel_multiple))


@contextmanager
def opened(
    picture: Path | str | bytes, *, most_pixels: int = MAX_PIXELS, name: str = "the picture"
) -> Iterator[Image.Image]:
    """Opens a picture, reading only its header; errors inside the `with` block are raised as SourceError too."""
    where = name if isinstance(picture, bytes) else str(picture)
    _check_length(picture, where)
    try:
        # Pillow warns about sizes that `_check_size` refuses anyway.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture, formats=FORMATS)
        with image:
            _check_size(image, most_pixels, where)
            yield image
    except UNREADABLE as error:
        kind = kind_of(picture) if isinstance(picture, bytes) else picture_kind(Path(picture))
        if kind and isinstance(error, UnidentifiedImageError):
            raise SourceError(f"{where} is a {kind} picture, which cannot be read; save it as JPEG or PNG") from error
        raise SourceError(f"{where} cannot be read as a picture ({error}); JPEG, PNG or WebP can") from error
    except MemoryError as error:
        raise SourceError(f"{where} needs more memory than a picture may take; make it smaller") from error


def _check_length(picture: Path | str | bytes, where: str) -> None:
    try:
        size_bytes = len(picture) if isinstance(picture, bytes) else Path(picture).stat().st_size
    except OSError as error:
        raise SourceError(f"{where} cannot be read: {error.strerror or error}") from error
    if size_bytes > MAX_FILE_BYTES:
        raise SourceError(f"{where} has {size_bytes:,} bytes; {MAX_FILE_BYTES:,} are the most for a picture")


def _check_size(image: Image.Image, most_pixels: int, where: str) -> None:
    if image.width * image.height > most_pixels:
        raise SourceError(f"{where} has {image.width}x{image.height} pixels; {most_pixels:,} are the most")


def _rgb(image: Image.Image) -> RGB:
    """Returns 8-bit RGB without transparency; works in bands of rows, to avoid a second copy of the full size."""
    picture: RGB = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, BAND_PIXELS // image.width)
    # Pillow clips 16-bit greys at 255 instead of scaling them.
    white = _white(image) if image.mode.startswith(("I", "F")) else None
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        picture[top : top + rows] = np.asarray(_flat(band)) if white is None else _scaled(band, white)
    return picture


def _white(image: Image.Image) -> float:
    _, lightest = image.getextrema()
    assert isinstance(lightest, int | float)
    return max(WHITE_8_BIT, float(lightest))


def _scaled(band: Image.Image, white: float) -> RGB:
    grey = (np.asarray(band) / white * WHITE_8_BIT).astype(np.uint8)
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


def _flat(band: Image.Image) -> Image.Image:
    if not band.has_transparency_data:
        return band.convert("RGB")
    layered = band.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")
