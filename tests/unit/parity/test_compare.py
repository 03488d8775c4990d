"""What counts as a difference."""

import math
from dataclasses import replace

from vigil.parity.compare import (
    POSITIONS,
    ParityDifference,
    ParityReport,
    count_values,
    first_difference,
    picture_difference,
    pixel_difference,
)
from vigil.parity.trained import PixelDigest


def _pictures(digest: str, *probes: float, grid_thw: tuple[int, ...] = (3, 6, 8)) -> PixelDigest:
    return PixelDigest(grid_thw=grid_thw, digest=digest, probes=probes)


def test_the_first_token_that_differs_is_found() -> None:
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    assert first_difference([1, 2, 3], [1, 9, 3]) == 1
    assert first_difference([1, 2], [1, 2, 3]) == 2
    assert first_difference([], [1]) == 0


def test_equal_digests_are_no_difference_and_unequal_ones_are_measured() -> None:
    assert pixel_difference(_pictures("a", 0.1), _pictures("a", 0.1)) == 0.0
    assert math.isclose(pixel_difference(_pictures("a", 0.1, 0.5), _pictures("b", 0.1, 0.2)), 0.3)
    assert pixel_difference(_pictures("a", 0.1), _pictures("b", 0.1, grid_thw=(3, 4, 4))) == math.inf


def test_pixels_that_differ_elsewhere_than_at_the_probes_are_a_difference() -> None:
    assert picture_difference(_pictures("a", 0.1), _pictures("a", 0.1)) == ""
    assert "pixels" in picture_difference(_pictures("a", 0.1), _pictures("b", 0.1))
    assert "0.3000" in picture_difference(_pictures("a", 0.1, 0.5), _pictures("b", 0.1, 0.2))
    assert picture_difference(_pictures("a", 0.1), _pictures("b", 0.1, grid_thw=(3, 4, 4))) == "size"


def test_other_times_are_a_difference_where_tokens_and_pixels_agree() -> None:
    ours, theirs = (
        replace(_pictures("a", 0.1), positions=((0, 0, time, time, 9), (0, 1, 0, 1, 9), (0, 0, 0, 0, 9)))
        for time in (2, 4)
    )
    assert picture_difference(ours, ours) == ""
    assert picture_difference(ours, theirs) == POSITIONS
    assert (ours.times, theirs.times, _pictures("a").times) == ([0, 2], [0, 4], [])


def test_an_example_that_differs_twice_is_one_difference() -> None:
    one = ParityDifference(example="a", frames=6, what="tokens", at=3, trained="x", served="y")
    other = ParityDifference(example="a", frames=6, what="size", at=0, trained="x", served="y")
    report = ParityReport(
        model="m",
        examples=2,
        tokens=10,
        frame_counts=count_values([6, 2, 6]),
        grids=((3, 6, 8),),
        pictures=2,
        largest_pixel_difference=0.0,
        differing=(one, other),
    )
    assert report.summary == "parity: 2 examples, 1 difference"
    assert report.as_json()["differences"] == 1
    assert report.frame_counts == {2: 1, 6: 2}
