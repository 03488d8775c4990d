from itertools import combinations

import numpy as np
import pytest

from vigil.dataset.similar_clips import NEAR_DHASH, NEAR_PHASH, Fingerprint, near_clips, similar_clips, with_frames


def made(count: int, *, seed: int, spread: float) -> dict[str, Fingerprint]:
    """Clips of a few scenes, one to three frames each; a bit of a scene is another one with the chance `spread`."""
    random = np.random.default_rng(seed)
    scenes = random.integers(0, 2, (6, 320), dtype=np.uint8)

    def frame() -> str:
        bits = scenes[random.integers(6)] ^ (random.random(320) < spread)
        return np.packbits(bits).tobytes().hex()

    return {f"c{n:03d}": Fingerprint(tuple(frame() for _ in range(random.integers(0, 4)))) for n in range(count)}


def is_near(one: Fingerprint, other: Fingerprint) -> bool:
    """By the definition, with whole numbers."""
    return any(
        (int(a[:16], 16) ^ int(b[:16], 16)).bit_count() / 64 <= NEAR_PHASH
        and (int(a[16:], 16) ^ int(b[16:], 16)).bit_count() / 256 <= NEAR_DHASH
        for a in one.frames
        for b in other.frames
    )


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.12, 0.15, 0.2, 0.5])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_pairs_are_exactly_those_of_the_definition(spread: float, seed: int) -> None:
    prints = made(120, seed=seed, spread=spread)
    expected = [(a, b) for a, b in combinations(sorted(prints), 2) if is_near(prints[a], prints[b])]
    assert list(similar_clips(prints)) == expected


def test_only_clips_of_different_sides_are_compared_where_sides_are_told() -> None:
    prints = made(120, seed=3, spread=0.12)
    names = with_frames(prints)
    sides = [("train", "test", "train", "calibration")[place % 4] for place in range(len(names))]
    side = dict(zip(names, sides, strict=True))
    told: list[tuple[int, int]] = []
    found = [
        (names[place], names[other])
        for place, others in near_clips(
            [prints[name] for name in names], sides=sides, progress=lambda done, of, _: told.append((done, of))
        )
        for other in others
    ]
    assert found == [(a, b) for a, b in similar_clips(prints) if side[a] != side[b]] != []
    assert told == [(done + 1, len(names)) for done in range(len(names))]


def test_clips_without_pictures_are_like_none() -> None:
    nothing = Fingerprint(())
    assert list(similar_clips({"a": nothing, "b": nothing})) == list(similar_clips({})) == []
    assert list(near_clips([])) == []
