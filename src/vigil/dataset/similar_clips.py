"""Which clips look alike: every clip held against every other one, a few billion frames a minute.

Nothing is left out to be faster. A quarter of the bits may differ, which an index by parts of the hash could not tell
from chance; so the hashes lie in one row, and the short one rules out nearly all before the long one is read.

What a clip looks like in a few hundred bits, to find clips of one scene.

Two perceptual hashes (pHash 8x8 and dHash 16x16) of the first, middle and last sampled frame. Two clips are
alike when some frame of one is near some frame of the other in both hashes: each alone mistakes one plain wall
for another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.frames import RGB

# Shares of differing bits. Measured on 200 real clips of 22 sources: 99 % of the pairs found are of one source
# anywhere from 0.18 to 0.34 and from 0.26 to 0.32; either hash alone falls to 60 % at 0.22.
NEAR_PHASH = 0.26
NEAR_DHASH = 0.32
PHASH_BYTES, DHASH_BYTES = 8, 32


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hashes of up to three frames of a clip: 16 hex digits of pHash, then 64 of dHash, each."""

    frames: tuple[str, ...]


def fingerprint(images: Sequence[RGB]) -> Fingerprint:
    """The fingerprint of a clip's sampled frames, `(H, W, 3) uint8 RGB` each."""
    places = sorted({0, len(images) // 2, len(images) - 1}) if images else []
    return Fingerprint(tuple(_hash(images[place]) for place in places))


def _hash(image: RGB) -> str:
    # imagehash pulls in scipy, which takes a second to import: only where pictures are hashed.
    import imagehash
    from PIL import Image

    picture = Image.fromarray(image)
    return f"{imagehash.phash(picture, 8)}{imagehash.dhash(picture, 16)}"


Places: TypeAlias = NDArray[np.int64]
Compared: TypeAlias = Callable[[int, int, str], None]
"""Told after each clip: how many are compared, of how many, and which one it was."""

PHASH_BITS = int(NEAR_PHASH * 8 * PHASH_BYTES)
DHASH_BITS = int(NEAR_DHASH * 8 * DHASH_BYTES)
"""How many bits may differ."""


def nobody(done: int, total: int, name: str) -> None:
    """Progress that nobody watches."""


def similar_clips(fingerprints: Mapping[str, Fingerprint]) -> Iterator[tuple[str, str]]:
    """The pairs of clips that show one scene, by name."""
    names = with_frames(fingerprints)
    for place, others in near_clips([fingerprints[name] for name in names]):
        yield from ((names[place], names[other]) for other in others)


def with_frames(fingerprints: Mapping[str, Fingerprint]) -> list[str]:
    """The clips that can be compared, in order."""
    return sorted(name for name, print_ in fingerprints.items() if print_.frames)


def near_clips(
    prints: Sequence[Fingerprint], *, sides: Sequence[str] = (), progress: Compared = nobody
) -> Iterator[tuple[int, Places]]:
    """For each clip that has some: its place, and the places behind it of clips that look alike.

    With `sides`, one a clip, only clips of different sides are compared.
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
    """The frames of many clips one after the other: (K,) and (K, 4) uint64, and whose they are (K,)."""

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
        """The clips behind the place `after` that have a frame near one of these."""
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
    """(frames, 5) uint64: the short hash, then the four parts of the long one."""
    data = np.frombuffer(bytes.fromhex("".join(texts)), np.uint64)
    return data.reshape(len(texts), (PHASH_BYTES + DHASH_BYTES) // 8)
