"""Masks: which polygons are taken, and which pixels they cover."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.errors import UsageError
from vigil.masks import Mask, masks_as_data, masks_from_text, masks_to_text, paint, parse_masks

SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
RING = [(0.5 + 0.4 * math.cos(i), 0.5 + 0.4 * math.sin(i)) for i in np.linspace(0, 2 * math.pi, 10_000, endpoint=False)]


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([], "3 to 100 points, not 0"),
        ([(0, 0), (1, 1)], "3 to 100 points, not 2"),
        (RING, "3 to 100 points, not 10000"),
        ([(0, 0), (1, 0), (math.nan, 1)], "inside the picture"),
        ([(0, 0), (1, 0), (math.inf, 1)], "inside the picture"),
        ([(0, 0), (1, 0), (1.01, 1)], "inside the picture"),
        ([(0, 0), (1, 0), (-0.01, 1)], "inside the picture"),
        ([(0, 0), (640, 0), (640, 480)], "inside the picture"),
        ([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)], "no area"),
        ([(0.5, 0.5)] * 4, "no area"),
        ([(0, 0), (1, 1), (1, 0), (0, 0.9)], "edges that cross"),
    ],
)
def test_a_polygon_that_hides_nothing_for_certain_is_told(points: list[tuple[float, float]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Mask(kind="privacy", points=tuple(points))
    with pytest.raises(UsageError, match=rf"masks\.1: .*{said}"):
        parse_masks([{"kind": "ignore", "points": SQUARE}, {"kind": "privacy", "points": points}])


@pytest.mark.parametrize("data", [{}, {"kind": "privacy"}, {"points": SQUARE}, {"kind": "privacy", "points": "abc"}, 7])
def test_data_that_is_no_mask_is_told(data: object) -> None:
    with pytest.raises(UsageError, match=r"masks\.0"):
        parse_masks([data])
    with pytest.raises(UsageError, match="JSON"):
        masks_from_text("{")


def test_a_camera_has_a_limited_number_of_masks() -> None:
    with pytest.raises(UsageError, match="at most 32 masks, not 33"):
        parse_masks([{"kind": "privacy", "points": SQUARE}] * 33)


def test_masks_come_back_from_their_text_as_they_were() -> None:
    masks = (Mask(kind="privacy", points=SQUARE), Mask(kind="ignore", points=SQUARE[:3]))
    assert masks_from_text(masks_to_text(masks)) == masks == parse_masks(masks_as_data(masks))
    assert masks_from_text("") == ()


def test_privacy_is_black_over_the_grey_of_what_is_ignored_and_the_rest_is_as_it_was() -> None:
    image = np.full((100, 200, 3), 200, np.uint8)
    left = Mask(kind="privacy", points=((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)))
    upper = Mask(kind="ignore", points=((0, 0), (1, 0), (1, 0.5), (0, 0.5)))
    painted = paint(image, (left, upper))
    assert (painted[:50, :100] == 0).all() and (painted[:48, 104:] == 128).all() and (painted[54:] == 200).all()
    assert (image == 200).all(), "the picture itself is not changed"
    assert (paint(image, (left, upper), ("privacy",))[:48, 104:] == 200).all()
    assert paint(image, (upper,), ("privacy",)) is image


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=3),
    size=st.tuples(st.integers(32, 200), st.integers(32, 200)),
)
def test_no_pixel_that_a_mask_touches_remains(corners: list[tuple[float, float]], size: tuple[int, int]) -> None:
    try:
        mask = Mask(kind="privacy", points=tuple(corners))
    except UsageError:
        return
    height, width = size
    painted = paint(np.full((height, width, 3), 255, np.uint8), (mask,))
    inside = np.random.default_rng(0).dirichlet((1, 1, 1), 500) @ np.array(corners)
    x = np.clip((inside[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip((inside[:, 1] * height).astype(int), 0, height - 1)
    assert (painted[y, x] == 0).all()
