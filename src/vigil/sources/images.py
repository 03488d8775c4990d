"""Pictures as frames: image files, or the bytes of them, for asking about stills."""

import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vigil.errors import SourceError
from vigil.frames import RGB, Frame, Sampling, fit, resize

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
MAX_PIXELS = 100_000_000


def read_images(pictures: Iterable[Path | str | bytes], sampling: Sampling) -> list[Frame]:
    """One frame a picture, `1 / sampling.fps` apart, upright by its EXIF, each sized by `fit`.

    Of a picture with several frames the first counts; what is transparent becomes white. Raises
    SourceError that names the picture.
    """
    return [
        Frame(read_image(picture, max_pixels=sampling.max_pixels, name=f"picture {index + 1}"), index / sampling.fps)
        for index, picture in enumerate(pictures)
    ]


def read_image(picture: Path | str | bytes, *, max_pixels: int, name: str = "the picture") -> RGB:
    """One picture, upright and sized: `(H, W, 3) uint8 RGB`; `name` stands for bytes in messages."""
    where = name if isinstance(picture, bytes) else str(picture)
    data = picture if isinstance(picture, bytes) else _bytes(Path(picture))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            full = _decode(data, where)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise SourceError(f"{where} cannot be read as a picture ({error}); JPEG, PNG or WebP can") from error
    height, width = full.shape[:2]
    return resize(full, fit(width, height, max_pixels=max_pixels))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _decode(data: bytes, where: str) -> RGB:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise SourceError(f"{where} has {image.width}x{image.height} pixels; {MAX_PIXELS:,} are the most")
        image.load()
        upright = ImageOps.exif_transpose(image)
        return np.asarray(_flatten(upright), dtype=np.uint8)


def _flatten(image: Image.Image) -> Image.Image:
    """Eight bits a colour, without transparency."""
    if image.mode.startswith(("I", "F")):
        # 16-bit greys would be cut off at 255 instead of scaled.
        grey = np.asarray(image, dtype=np.float64)
        return Image.fromarray((grey / max(255.0, grey.max()) * 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    white = Image.new("RGBA", layered.size, "white")
    return Image.alpha_composite(white, layered).convert("RGB")
