"""Pictures on their way into a page: as data URLs, so that no page ever names a file of this machine."""

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
    """An RGB picture as the data URL of a PNG."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return f"data:image/png;base64,{b64encode(encoded.tobytes()).decode()}"


def thumbnail_url(path: Path) -> str:
    """A picture file, made small, as a data URL; empty when it is gone or no picture."""
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError:
        return ""
    return _thumbnail(path, modified_ns)


@lru_cache(maxsize=512)
def _thumbnail(path: Path, modified_ns: int) -> str:
    """Kept by its time too: the snapshot of an event is replaced when a better one is known."""
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
