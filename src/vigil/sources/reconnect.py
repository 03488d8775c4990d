"""When to ask a lost source again: soon at first, then ever more rarely, never all at the same moment."""

import random

from vigil.sources.signals import CaptureSettings

SPREAD = 0.25
"""Waits differ by up to this share, so that cameras behind one switch do not all come back at once."""


class Backoff:
    """The waits between the attempts at one source; `steady_s` of pictures start them anew."""

    def __init__(self, settings: CaptureSettings, *, dice: random.Random | None = None) -> None:
        self._settings = settings
        self._dice = dice or random.Random()
        self._failures = 0

    def next_s(self, *, pictures_s: float) -> float:
        """Seconds to wait after a connection that gave pictures for `pictures_s`; 0 for one that gave none."""
        if pictures_s >= self._settings.steady_s and pictures_s > 0:
            self._failures = 0
        # Beyond this the cap is reached anyway, and a float would overflow in the end.
        doublings = min(self._failures, 30)
        self._failures += 1
        base_s = min(self._settings.longest_retry_s, self._settings.first_retry_s * 2**doublings)
        return float(base_s * (1 - SPREAD * self._dice.random()))
