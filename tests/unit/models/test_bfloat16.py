"""Rounding to bfloat16 is held against its definition: the nearer neighbour, and the even one in the middle."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vigil.models.bfloat16 import is_finite, rounded, to_float32, ulps_between

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**127), max_value=2.0**127)


def _bits(*values: float) -> np.ndarray:
    return rounded(np.array(values, dtype=np.float32))


@given(FLOATS)
def test_the_nearest_is_taken_and_in_the_middle_the_even_one(value: float) -> None:
    exact = float(np.float32(value))
    towards_zero = np.array([exact], dtype=np.float32).view(np.uint32) >> np.uint32(16)
    candidates = np.concatenate([towards_zero, towards_zero + np.uint32(1)]).astype(np.uint16)
    distances = [abs(float(candidate) - exact) for candidate in to_float32(candidates)]
    found = int(_bits(exact)[0])
    if distances[0] == distances[1]:
        assert found == next(int(bits) for bits in candidates if bits % 2 == 0)
    else:
        assert found == int(candidates[int(np.argmin(distances))])


def test_every_bfloat16_is_itself() -> None:
    everything = np.arange(1 << 16, dtype=np.uint16)
    numbers = everything[~np.isnan(to_float32(everything))]
    assert np.array_equal(rounded(to_float32(numbers)), numbers)


def test_what_is_no_number_stays_none() -> None:
    bits = _bits(float("nan"), -float("nan"), float("inf"), 3e38, 3.4e38)
    assert np.isnan(to_float32(bits)[:2]).all()
    assert np.isinf(to_float32(bits)[[2, 4]]).all()
    assert is_finite(bits[3:4])
    assert [is_finite(bits[index : index + 1]) for index in (0, 2, 4)] == [False, False, False]


def test_units_in_the_last_place_are_counted_across_zero() -> None:
    one, next_up, minus_one, zero, minus_zero = 0x3F80, 0x3F81, 0xBF80, 0x0000, 0x8000
    left = np.array([one, next_up, zero, minus_one], dtype=np.uint16)
    right = np.array([next_up, next_up, minus_zero, one], dtype=np.uint16)
    assert ulps_between(left, right).tolist() == [1, 0, 0, 2 * one]
