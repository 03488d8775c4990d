"""Pictures as frames: image files, or the bytes of them, for asking about stills.

A picture is untrusted: a few kilobytes can stand for gigabytes of pixels. Its size is read from its header, and only
then is it decoded, and turned into RGB in bands of rows, so that 25 megapixels cost a few hundred megabytes at most.
What a visitor's browser sends is decoded in a process of its own (`vigil.sources.image_worker`).
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
"""More than cameras and phones take as a rule, and four times what the largest prompt shows."""

MAX_FILE_BYTES = 128 * 1024**2
"""A 32-bit BMP of `MAX_PIXELS` fits."""

BAND_PIXELS = 1_000_000
WHITE_8_BIT = 255.0
UNREADABLE = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError)
"""What Pillow raises about damaged pictures."""


def read_images(pictures: Iterable[Path | str | bytes], sampling: FrameSampling) -> list[Frame]:
    """One frame a picture, `1 / sampling.fps` apart, upright by its EXIF, each sized by `fit`.

    Of a picture with several frames the first counts; what is transparent becomes white. Raises
    SourceError that names the picture.
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
    """One picture, upright and sized: `(H, W, 3) uint8 RGB`; `name` stands for bytes in messages.

    Without `max_pixels` it keeps its size. Raises SourceError, also for one of more than `most_pixels`.
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
    """A picture of which only the header was read; raises SourceError, also for what fails while it is open."""
    where = name if isinstance(picture, bytes) else str(picture)
    _check_length(picture, where)
    try:
        # Pillow's own warning is about more pixels than are let through here.
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
    """Eight bits a colour, without transparency; band by band, so that no second picture of this size is made."""
    picture: RGB = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, BAND_PIXELS // image.width)
    # 16-bit greys would be cut off at 255 instead of scaled.
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
