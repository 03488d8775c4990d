"""The newest pictures of a live source, kept so that a moment of it can still be asked about."""

import threading
from collections import deque

from vigil.chat.look import KeptPicture
from vigil.frames import Frame, encode_jpeg

MOST_PICTURES = 300
"""Two and a half minutes at the contract's two pictures a second."""


class RecentPictures:
    """Pictures as they were judged, newest last; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[KeptPicture] = deque(maxlen=MOST_PICTURES)

    def add(self, frame: Frame, *, time_s: float, quality: int) -> None:
        """Keeps a picture that was seen at second `time_s` of the analysis."""
        height, width = frame.image.shape[:2]
        jpeg = encode_jpeg(frame.image, quality=quality)
        with self._lock:
            self._kept.append(KeptPicture(time_s=time_s, jpeg=jpeg, size_wh=(width, height)))

    def between(self, start_s: float, end_s: float) -> list[KeptPicture]:
        """What is kept of these seconds, both included."""
        with self._lock:
            return [one for one in self._kept if start_s - 0.01 <= one.time_s <= end_s + 0.01]
