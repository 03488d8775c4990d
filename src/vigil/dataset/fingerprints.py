"""What a clip looks like in a few hundred bits, to find clips of one scene.

Two perceptual hashes (pHash 8x8 and dHash 16x16) of the first, middle and last sampled frame. Two clips are
alike when some frame of one is near some frame of the other in both hashes: each alone mistakes one plain wall
for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
