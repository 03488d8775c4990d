"""Small JPEGs of pictures, made once and kept in memory; a browser that has one is told that it has."""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from fastapi import Request, Response

from ..problems import NotFoundError

STEP_PX = 32
WIDEST_PX = 960
QUALITY = 80
KEPT = 1024
"""Thumbnails in memory, of about 6 KB each."""

HEADERS = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}


def send_thumbnail(request: Request, path: Path, *, width_px: int) -> Response:
    """The picture at most so wide (rounded up to steps of 32); raises NotFoundError if it is gone or no picture."""
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError as error:
        raise NotFoundError("the picture of this event is gone") from error
    width_px = min(-(-width_px // STEP_PX) * STEP_PX, WIDEST_PX)
    tag = f'"{sha256(f"{path}/{modified_ns}/{width_px}".encode()).hexdigest()[:24]}"'
    headers = HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    jpeg = _thumbnail(path, modified_ns, width_px)
    if not jpeg:
        raise NotFoundError("the picture of this event cannot be read")
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@lru_cache(maxsize=KEPT)
def _thumbnail(path: Path, modified_ns: int, width_px: int) -> bytes:
    """The modification time is part of the cache key, since snapshots are replaced by better ones."""
    try:
        data = np.fromfile(path, np.uint8)
    except OSError:
        return b""
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        return b""
    scale = min(1.0, width_px / image.shape[1])
    small = image if scale == 1.0 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    encoded: bytes = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    return encoded
