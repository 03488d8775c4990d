"""Paints over the masked areas of a source, in everything that leaves its reader: frames, previews, clips, snapshots.

masks = LiveMasks(address.masks or (), memory_s=35.0)
capture = MaskedCapture(capture, masks)
masks.change_to(others)       # from any thread; holds from the next frame on
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vigil.frames import RGB, Frame
from vigil.masks import Mask, MaskKind, paint
from vigil.sources.capture import CaptureItem, Clock, MasksChanged
from vigil.sources.footage import Footage, Retouch

PRIVATE: tuple[MaskKind, ...] = ("privacy",)


class LiveMasks:
    """The masks of a source, which may change while it is read; thread-safe.

    A privacy mask that was removed stays in clips and snapshots for `memory_s`, because the buffer that they are cut
    from holds pictures from the time when it was in force.
    """

    def __init__(self, masks: Sequence[Mask] = (), *, memory_s: float = 0.0, clock: Clock = time.monotonic) -> None:
        self._masks = tuple(masks)
        self._memory_s = memory_s
        self._clock = clock
        self._removed: list[tuple[float, Mask]] = []
        self._was_replaced = False
        self._lock = threading.Lock()

    @property
    def current(self) -> tuple[Mask, ...]:
        """The masks that are in force."""
        return self._masks

    def begin(self, masks: Sequence[Mask]) -> None:
        """Sets the masks that were looked up, unless newer ones have been set meanwhile."""
        with self._lock:
            if not self._was_replaced:
                self._set(tuple(masks))

    def change_to(self, masks: Sequence[Mask]) -> None:
        """Sets new masks."""
        with self._lock:
            self._was_replaced = True
            self._set(tuple(masks))

    def _set(self, masks: tuple[Mask, ...]) -> None:
        now_s = self._clock()
        kept = [(until_s, mask) for until_s, mask in self._removed if until_s > now_s]
        gone = [mask for mask in self._masks if mask.kind == "privacy" and mask not in masks]
        self._removed = [*kept, *((now_s + self._memory_s, mask) for mask in gone)]
        self._masks = masks

    def for_people(self, image: RGB) -> RGB:
        """Returns a picture as people may see it now: without what privacy masks cover."""
        return paint(image, self._masks, PRIVATE)

    def retouch(self) -> Retouch | None:
        """What clips and snapshots are painted with, also those of the last seconds; None if nothing is masked."""
        with self._lock:
            now_s = self._clock()
            masks = (*self._masks, *(mask for until_s, mask in self._removed if until_s > now_s))
        private = tuple(mask for mask in masks if mask.kind == "privacy")
        return (lambda image: paint(image, private)) if private else None


class MaskableCapture(Protocol):
    """A capture whose pictures can be painted over (see `vigil.sources.open_capture.Capture`)."""

    @property
    def is_live(self) -> bool: ...
    @property
    def started_utc_s(self) -> float | None: ...
    @property
    def footage(self) -> Footage: ...
    @property
    def problems(self) -> tuple[str, ...]: ...
    def read(self) -> Iterator[CaptureItem]: ...


class MaskedCapture:
    """A capture whose frames and footage have the masked areas painted over.

    Before the first frame under other masks it yields `MasksChanged`, so that no window mixes both.
    """

    def __init__(self, capture: MaskableCapture, masks: LiveMasks) -> None:
        self._capture = capture
        self._masks = masks
        self.footage: Footage = MaskedFootage(capture, masks)

    @property
    def is_live(self) -> bool:
        """Whether time goes on even if its frames are not read."""
        return self._capture.is_live

    @property
    def started_utc_s(self) -> float | None:
        """The `time.time()` of second 0."""
        return self._capture.started_utc_s

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems so far, one sentence each."""
        return self._capture.problems

    def read(self) -> Iterator[CaptureItem]:
        """Yields the items of the capture."""
        in_force: tuple[Mask, ...] | None = None
        for item in self._capture.read():
            if not isinstance(item, Frame):
                yield item
                continue
            masks = self._masks.current
            if in_force is not None and masks != in_force:
                yield MasksChanged()
            in_force = masks
            yield replace(item, image=paint(item.image, masks)) if masks else item


class MaskedFootage:
    """The footage of a capture without what its privacy masks cover."""

    def __init__(self, capture: MaskableCapture, masks: LiveMasks) -> None:
        self._capture = capture
        self._masks = masks

    def clip(self, path: Path, *, from_s: float, to_s: float, retouch: Retouch | None = None) -> float:
        """Writes an mp4 of these seconds, encoded anew if anything is masked; returns the second it begins at.

        Raises SourceError.
        """
        painted = _both(retouch, self._masks.retouch())
        return self._capture.footage.clip(path, from_s=from_s, to_s=to_s, retouch=painted)

    def snapshot(self, path: Path, *, at_s: float, retouch: Retouch | None = None) -> None:
        """Writes the picture nearest to a second as a JPEG of full size; raises SourceError."""
        self._capture.footage.snapshot(path, at_s=at_s, retouch=_both(retouch, self._masks.retouch()))


def _both(first: Retouch | None, second: Retouch | None) -> Retouch | None:
    if first is None or second is None:
        return first or second
    return lambda image: second(first(image))
