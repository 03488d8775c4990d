"""A webcam by its number, through OpenCV: frames as they come, sampled by the clock on the wall."""

import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from vigil.errors import SourceError
from vigil.frames import Frame, Sampling, fit, resize
from vigil.sources.clock import Sampler


def read(number: int, sampling: Sampling) -> Iterator[Frame]:
    """Live frames of webcam `number`, sampled at `sampling.fps` and sized by `fit`.

    `time_s` counts from the first picture, `captured_s` is `time.time()`. Raises SourceError when the
    camera cannot be opened, and when it stops giving pictures.
    """
    camera = _open(number)
    sampler = Sampler(sampling.fps)
    started_s: float | None = None
    try:
        while camera.grab():
            now_s, captured_s = time.monotonic(), time.time()
            started_s = now_s if started_s is None else started_s
            if sampler.take(now_s - started_s):
                yield _frame(camera, number, sampling, time_s=now_s - started_s, captured_s=captured_s)
        raise SourceError(f"webcam {number} gives no more pictures; is it still plugged in?")
    finally:
        camera.release()


def _open(number: int) -> Any:
    if number < 0:
        raise SourceError(f"webcam {number} does not exist; numbers start at 0")
    camera = cv2.VideoCapture(number)
    if not camera.isOpened():
        raise SourceError(
            f"webcam {number} cannot be opened; is it plugged in, allowed for this user (group video) and "
            "not used by another program?"
        )
    # The newest picture matters: what waits in the driver's queue is already late.
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera


def _frame(camera: Any, number: int, sampling: Sampling, *, time_s: float, captured_s: float) -> Frame:
    ok, bgr = camera.retrieve()
    if not ok:
        raise SourceError(f"webcam {number} gave a picture that cannot be decoded")
    height, width = bgr.shape[:2]
    sized = resize(bgr, fit(width, height, max_pixels=sampling.max_pixels))
    return Frame(np.ascontiguousarray(sized[:, :, ::-1]), time_s, captured_s)
