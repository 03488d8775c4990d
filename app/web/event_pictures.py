"""Pictures as data URLs, so that no page contains a path of this machine."""

from base64 import b64encode
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from vigil.frames import RGB

THUMBNAIL_PX = 192
THUMBNAIL_QUALITY = 78


def jpeg_url(jpeg: bytes) -> str:
    """A JPEG as a data URL."""
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"


def png_url(image: RGB) -> str:
    """An RGB array as a PNG data URL."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{b64encode(encoded.tobytes()).decode()}"


def thumbnail_url(path: Path) -> str:
    """A thumbnail of a picture file as a data URL; empty if the file is missing or no picture."""
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError:
        return ""
    return _thumbnail(path, modified_ns)


@lru_cache(maxsize=512)
def _thumbnail(path: Path, modified_ns: int) -> str:
    """The modification time is part of the cache key, since snapshots are replaced by better ones."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return ""
    image = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2) if data.size else None
    if image is None:
        return ""
    scale = min(1.0, THUMBNAIL_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY])
    return jpeg_url(encoded.tobytes())
