"""How training covers clips that are shorter than a live window.

Most public fight clips last about 2 s, which is 4 or 5 frames at 2 fps; a camera's window has 6. Policies:

    as-is    a short clip gives one short window, a long one full windows: what scoring sees
    crop     full windows additionally give a shorter one, so that both lengths occur in both labels
    stretch  short clips additionally give a full window from closer frames, shown with the usual time marks:
             it looks slowed down, by at most MAX_STRETCH
    both     crop and stretch

`benchmarks/short_clips.py` measures them. Only training windows are added; the test split is always as-is.
"""

from typing import Literal, TypeAlias

from vigil.frames import Sampling
from vigil.windows import Window

ShortPolicy: TypeAlias = Literal["as-is", "crop", "stretch", "both"]
StoredKind: TypeAlias = Literal["window", "crop", "stretch"]

MAX_STRETCH = 2.0
"""Faster than twice the spacing of a live window is another motion, not the same one slowed."""


def crop(window: Window, sampling: Sampling) -> Window | None:
    """Two thirds of a full window, its beginning or its end by turns; None for a short one."""
    length = short_length(sampling)
    if window.repeated or len(window.shots) < sampling.frames or length >= sampling.frames:
        return None
    shots = window.shots[:length] if window.index % 2 == 0 else window.shots[-length:]
    return Window(window.index, shots)


def short_length(sampling: Sampling) -> int:
    """Frames of a short window: two thirds of a full one, in whole groups, at least 2 (6 -> 4)."""
    group = sampling.frames_per_group
    return max(2, sampling.frames * 2 // 3 // group * group)


def stretched_fps(only: Window, sampling: Sampling) -> float | None:
    """The rate at which a clip that gave this one window fills a full one.

    None when the clip is long enough already, or so short that it would be slowed more than MAX_STRETCH.
    """
    distinct = len(only.shots) - only.repeated
    if distinct >= sampling.frames or distinct < 2:
        return None
    fps = (sampling.frames - 1) / (only.end_s - only.start_s)
    return fps if fps / sampling.fps <= MAX_STRETCH else None
