"""Arithmetic on bfloat16 values stored as their 16 bits in `uint16`, because numpy has no bfloat16."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint16]
Float32: TypeAlias = NDArray[np.float32]

SIGN = 0x8000
EXPONENT = 0x7F80
NOT_A_NUMBER = 0x7FC0


def to_float32(bits: Bits) -> Float32:
    """The same values in float32, which represents every bfloat16 exactly."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(values: Float32) -> Bits:
    """The nearest bfloat16 of each value, ties to even, as torch rounds."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    carry = (bits >> np.uint32(16)) & np.uint32(1)
    nearest = ((bits + np.uint32(0x7FFF) + carry) >> np.uint32(16)).astype(np.uint16)
    unreal = np.isnan(values)
    if unreal.any():  # rounding their bits would carry into another number
        nearest[unreal] = NOT_A_NUMBER
    return nearest


def ulps_between(left: Bits, right: Bits) -> NDArray[np.int32]:
    """The distance of two arrays in units in the last place, element by element; the two zeros count as equal."""
    steps: NDArray[np.int32] = np.abs(_ordered(left) - _ordered(right))
    return steps


def is_finite(bits: Bits) -> bool:
    """Whether every value is finite."""
    return bool(((bits & np.uint16(EXPONENT)) != EXPONENT).all())


def _ordered(bits: Bits) -> NDArray[np.int32]:
    magnitude = (bits & np.uint16(SIGN - 1)).astype(np.int32)
    return np.where(bits & np.uint16(SIGN), -magnitude, magnitude)
