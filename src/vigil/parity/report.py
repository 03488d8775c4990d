"""What the comparison found: differences, one an example, in words that name the first token that is not the same."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vigil.parity.trained import Pictures
from vigil.report.counted import counted

POSITIONS = "positions of the video's tokens (times of its groups)"
"""What differs where tokens and pixels agree, and the model is told other times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One example that is not served as it was trained; `trained` and `served` are what differs first, as text."""

    example: str
    frames: int
    what: str
    at: int
    trained: str
    served: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """The whole comparison; `pictures` counts the examples whose pixels were compared too."""

    model: str
    examples: int
    tokens: int
    frame_counts: dict[int, int]
    grids: tuple[tuple[int, ...], ...]
    pictures: int
    largest_pixel_difference: float | None
    differing: tuple[Difference, ...]

    @property
    def differences(self) -> int:
        """How many examples differ."""
        return len({difference.example for difference in self.differing})

    @property
    def summary(self) -> str:
        """One line for people and scripts."""
        return f"parity: {counted(self.examples, 'example')}, {counted(self.differences, 'difference')}"

    def as_json(self) -> dict[str, Any]:
        """Everything, with `differences` as a number."""
        data = asdict(self)
        return {"examples": data.pop("examples"), "differences": self.differences, **data}


def first_difference(trained: Sequence[int], served: Sequence[int]) -> int | None:
    """The place of the first token that is not the same; None when all are."""
    for place, (ours, theirs) in enumerate(zip(trained, served, strict=False)):
        if ours != theirs:
            return place
    return None if len(trained) == len(served) else min(len(trained), len(served))


def pixel_difference(trained: Pictures, served: Pictures) -> float:
    """How far pixel values are known to be apart: 0 when the digests agree, else as far as the probes tell."""
    if trained.digest == served.digest:
        return 0.0
    if trained.grid_thw != served.grid_thw:
        return float("inf")
    return max(abs(ours - theirs) for ours, theirs in zip(trained.probes, served.probes, strict=True))


def picture_difference(trained: Pictures, served: Pictures) -> str:
    """What is not the same of the pictures, by all of their values; empty when nothing is."""
    if trained.grid_thw != served.grid_thw:
        return "size"
    if trained.digest == served.digest:
        return POSITIONS if trained.positions != served.positions else ""
    apart = pixel_difference(trained, served)
    return f"pixels (by up to {apart:.4f} or more)" if apart else "pixels (none of the few that are told one by one)"


def count(numbers: Iterable[int]) -> dict[int, int]:
    """How often each number occurs, smallest first."""
    listed = sorted(numbers)
    return {number: listed.count(number) for number in dict.fromkeys(listed)}
