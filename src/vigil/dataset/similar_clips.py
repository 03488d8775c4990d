"""Finds clips of the same scene by perceptual hashes, comparing every clip with every other one.

A fingerprint has two hashes (pHash 8x8 and dHash 16x16) of the first, middle and last sampled frame. Two clips are
similar if some frame of one is near some frame of the other in both hashes; each hash alone confuses plain walls.

The search is exhaustive, a few billion frames a minute. Up to a quarter of the bits may differ, so an index over parts
of the hash could not tell matches from chance. Hashes are stored in flat arrays, and the short hash rules out nearly
all candidates before the long one is compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB

# Shares of differing bits. Measured on 200 real clips of 22 sources: 99 % of the pairs found are of one source for
# any pHash share from 0.18 to 0.34 and dHash share from 0.26 to 0.32; either hash alone falls to 60 % at 0.22.
NEAR_PHASH = 0.26
NEAR_DHASH = 0.32
PHASH_BYTES, DHASH_BYTES = 8, 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes of up to three frames of a clip; each is 16 hex digits of pHash, then 64 of dHash."""

    frames: tuple[str, ...]


def fingerprint(images: Sequence[RGB]) -> Fingerprint:
    """The fingerprint of a clip's sampled frames, `(H, W, 3) uint8 RGB` each."""
    places = sorted({0, len(images) // 2, len(images) - 1}) if images else []
    return Fingerprint(tuple(_hash(images[place]) for place in places))


def _hash(image: RGB) -> str:
    # imagehash imports scipy, which takes a second; imported only when frames are hashed.
    import imagehash
    from PIL import Image

    picture = Image.fromarray(image)
    return f"{imagehash.phash(picture, 8)}{imagehash.dhash(picture, 16)}"


Places: TypeAlias = NDArray[np.int64]
Compared: TypeAlias = Callable[[int, int, str], None]
"""Called after each clip with the number compared so far, the total, and an empty name."""

PHASH_BITS = int(NEAR_PHASH * 8 * PHASH_BYTES)
DHASH_BITS = int(NEAR_DHASH * 8 * DHASH_BYTES)
"""Number of bits that may differ."""


def no_progress(done: int, total: int, name: str) -> None:
    """Ignores progress."""


def similar_clips(fingerprints: Mapping[str, Fingerprint]) -> Iterator[tuple[str, str]]:
    """Pairs of names of clips that show the same scene."""
    names = with_frames(fingerprints)
    for place, others in near_clips([fingerprints[name] for name in names]):
        yield from ((names[place], names[other]) for other in others)


def with_frames(fingerprints: Mapping[str, Fingerprint]) -> list[str]:
    """The names of clips that have frames to compare, sorted."""
    return sorted(name for name, print_ in fingerprints.items() if print_.frames)


def near_clips(
    prints: Sequence[Fingerprint], *, sides: Sequence[str] = (), progress: Compared = no_progress
) -> Iterator[tuple[int, Places]]:
    """Yields, for each clip with matches, its index and the higher indices of similar clips.

    With `sides`, one per clip, only clips of different sides are compared.
    """
    marks = np.array(sides or [""] * len(prints))
    rows = {
        mark: _Row.of(prints, np.flatnonzero((marks != mark) | (not sides))) for mark in sorted(set(marks.tolist()))
    }
    for place, print_ in enumerate(prints):
        others = rows[str(marks[place])].near(print_, after=place)
        if others.size:
            yield place, others
        progress(place + 1, len(prints), "")


@dataclass(frozen=True, slots=True)
class _Row:
    """The hashes of the K frames of many clips, (K,) and (K, 4) uint64, and the clip index of each frame, (K,)."""

    phash: NDArray[np.uint64]
    dhash: NDArray[np.uint64]
    owner: Places

    @classmethod
    def of(cls, prints: Sequence[Fingerprint], places: Places) -> "_Row":
        frames = [(place, text) for place in places.tolist() for text in dict.fromkeys(prints[place].frames)]
        packed = _packed([text for _, text in frames])
        phash = np.ascontiguousarray(packed[:, 0])
        return cls(phash, np.ascontiguousarray(packed[:, 1:]), np.array([place for place, _ in frames], np.int64))

    def near(self, print_: Fingerprint, *, after: int) -> Places:
        """The indices greater than `after` of clips with a frame near one of these."""
        start = int(np.searchsorted(self.owner, after, side="right"))
        found = [self._near_frame(frame, start) for frame in _packed(list(dict.fromkeys(print_.frames)))]
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)

    def _near_frame(self, frame: NDArray[np.uint64], start: int) -> Places:
        differing = np.bitwise_count(self.phash[start:] ^ frame[0])
        candidates = np.flatnonzero(differing <= PHASH_BITS) + start
        differing = np.bitwise_count(self.dhash[candidates] ^ frame[1:]).sum(axis=1, dtype=np.int64)
        near: Places = self.owner[candidates[differing <= DHASH_BITS]]
        return near


def _packed(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(frames, 5) uint64: the short hash, then the four words of the long one."""
    data = np.frombuffer(bytes.fromhex("".join(texts)), np.uint64)
    return data.reshape(len(texts), (PHASH_BYTES + DHASH_BYTES) // 8)
