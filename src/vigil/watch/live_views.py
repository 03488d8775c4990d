"""The usual views of one source while it is watched: looked up before its first picture, learned, and kept again.

views = LiveViews()
views.begin(store.camera_views.of(camera_id))       # what was known before the restart
views.accept("2026-11-30T08:00:00.000Z")            # what it shows next is its right view
if (news := views.news()) is not None:
    store.camera_views.keep(camera_id, news.views, request=news.request)
"""

import threading

import numpy as np

from vigil.store.camera_views import StoredView, StoredViews
from vigil.watch.known_views import COARSE_WH, Grey, KnownViews, Match, View, Visible

KEEP_S = 300.0
"""Views follow the daylight: they are kept again after so many seconds of pictures."""


class LiveViews:
    """The known views of a source, which outlive a pause; thread-safe."""

    def __init__(self) -> None:
        self._known = KnownViews()
        self._lock = threading.Lock()
        self._request = ""
        self._done = ""
        self._is_new = False
        self._learned_s = 0.0

    def begin(self, stored: StoredViews) -> None:
        """Sets what was looked up; a view that cannot be read is left out."""
        with self._lock:
            self._known = KnownViews(_read(each) for each in stored.views if _is_whole(each))
            self._request = stored.request

    def accept(self, request: str) -> None:
        """Makes the next view that can be recognised the only one; `request` is when somebody asked for it."""
        with self._lock:
            if request != self._done:
                self._request = request

    def match(self, picture: Grey, visible: Visible, *, sharpness: float, is_clear: bool) -> Match | None:
        """Compares a coarse picture with the known views; `is_clear` says that it is neither dark nor covered."""
        with self._lock:
            if self._request and is_clear and self._known.accept(picture, visible, sharpness=sharpness):
                self._done, self._request, self._is_new = self._request, "", True
            return self._known.match(picture, visible)

    def cover(self, visible: Visible) -> None:
        """Takes what a new mask covers out of the views, which are news then; `visible` is what no mask touches."""
        with self._lock:
            self._is_new |= self._known.cover(visible)

    def learn(self, picture: Grey, visible: Visible, *, sharpness: float, seconds: float, is_sharp: bool) -> None:
        """Takes in a picture, `seconds` newer than the one before."""
        with self._lock:
            is_new = self._known.learn(picture, visible, sharpness=sharpness, seconds=seconds, is_sharp=is_sharp)
            self._is_new |= is_new
            self._learned_s += seconds

    def news(self) -> StoredViews | None:
        """The views, if they are to be kept now: one is new, or what they show is."""
        with self._lock:
            if not self._is_new and (self._learned_s < KEEP_S or not self._known.views):
                return None
            self._is_new, self._learned_s = False, 0.0
            return StoredViews(views=tuple(map(_stored, self._known.views)), request=self._done)

    def keep_again(self) -> None:
        """Makes the views news again, as they could not be kept."""
        with self._lock:
            self._is_new = True


def _stored(view: View) -> StoredView:
    grey = np.clip(np.rint(view.picture), 0, 255).astype(np.uint8)
    visible = view.visible.astype(np.uint8)
    return StoredView(picture=grey.tobytes(), visible=visible.tobytes(), sharpness=view.sharpness, seen_s=view.seen_s)


def _is_whole(stored: StoredView) -> bool:
    size = COARSE_WH[0] * COARSE_WH[1]
    return len(stored.picture) == len(stored.visible) == size and bool(np.isfinite([stored.sharpness]).all())


def _read(stored: StoredView) -> View:
    rows = COARSE_WH[::-1]
    picture = np.frombuffer(stored.picture, np.uint8).reshape(rows).astype(np.float32)
    visible = np.frombuffer(stored.visible, np.uint8).reshape(rows) > 0
    return View(picture, visible, stored.sharpness, stored.seen_s)
