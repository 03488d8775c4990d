"""What an adapter makes of one weight, and whether rows of a merged weight are correct: the arithmetic of a merge."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.models.bfloat16 import Bits, is_finite, rounded, to_float32, ulps_between
from vigil.models.lora_adapter import LowRank
from vigil.models.weight_files import Tensor

BLOCK_VALUES = 4096
FLOAT32_STEP = 2.0**-23


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightDelta:
    """What an adapter does to one tensor: replaces it by a saved one, adds to it, or both."""

    saved: Tensor | None
    low_rank: LowRank | None
    bias: NDArray[np.float32] | None

    def apply(self, base: NDArray[np.float32], first: int) -> "ExpectedWeight":
        """The result for rows of the base, from row `first` on, as float32 computes it."""
        last = first + len(base)
        if self.saved is not None:
            base = to_float32(rounded(self.saved.read_float32(first, last)))
        if self.bias is not None:
            base = base + self.bias[first:last, None]
        if self.low_rank is None:
            return ExpectedWeight(values=base, start=base)
        left = self.low_rank.left[first:last]
        values = left @ self.low_rank.right
        values *= np.float32(self.low_rank.scale)
        values += base
        factor = None
        if self.low_rank.magnitude is not None:
            factor = (self.low_rank.magnitude[first:last] / np.linalg.norm(values, axis=1))[:, None]
            values *= factor
        return ExpectedWeight(values=values, start=base, left=left, low_rank=self.low_rank, factor=factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedWeight:
    """Rows as they should be before rounding; `start` is what the low-rank product is added to."""

    values: NDArray[np.float32]
    start: NDArray[np.float32]
    left: NDArray[np.float32] | None = None
    low_rank: LowRank | None = None
    factor: NDArray[np.float32] | None = None

    def exactly(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Selected values in float64, and the possible float32 error of each: one rounding step for each term."""
        start = self.start[rows, columns].astype(np.float64)
        if self.left is None or self.low_rank is None:
            return start, FLOAT32_STEP * np.abs(start)
        left = self.left[rows].astype(np.float64)
        right = self.low_rank.right[:, columns].T.astype(np.float64)
        exact = start + self.low_rank.scale * np.einsum("ij,ij->i", left, right)
        terms = np.abs(start) + abs(self.low_rank.scale) * np.einsum("ij,ij->i", np.abs(left), np.abs(right))
        slack = FLOAT32_STEP * (2 + left.shape[1]) * terms
        if self.factor is not None:
            factor = self.factor[rows, 0].astype(np.float64)
            exact, slack = exact * factor, slack * factor
            slack += FLOAT32_STEP * math.sqrt(self.start.shape[1]) * np.abs(exact)
        return exact, slack


def deviation(expected: ExpectedWeight, found: Bits) -> tuple[int, str]:
    """The number of values that took the other neighbour where either is correct; and what is wrong, or ""."""
    if not is_finite(found):
        return 0, "holds NaN or infinite values"
    nearest = rounded(expected.values)
    if np.array_equal(nearest, found):
        return 0, ""
    rows, columns = np.nonzero(nearest != found)
    steps = ulps_between(nearest[rows, columns], found[rows, columns])
    either = 0
    for block in range(0, rows.size, BLOCK_VALUES):
        part = slice(block, block + BLOCK_VALUES)
        if not _either_is_right(expected, found, nearest, rows[part], columns[part]):
            return 0, f"differs in {rows.size} of {found.size} values, by up to {steps.max()} units in the last place"
        either += int(np.count_nonzero(steps[part]))
    return either, ""


def _either_is_right(
    expected: ExpectedWeight, found: Bits, nearest: Bits, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> bool:
    theirs, ours = (to_float32(bits[rows, columns]).astype(np.float64) for bits in (found, nearest))
    exact, slack = expected.exactly(rows, columns)
    neighbours = ulps_between(found[rows, columns], nearest[rows, columns]) <= 1
    return bool((neighbours & (np.abs(theirs - exact) <= np.abs(theirs - ours) / 2 + slack)).all())
