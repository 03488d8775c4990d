"""The calibrated probabilities from which an event is low, medium or high."""

from dataclasses import dataclass

from vigil.errors import UsageError
from vigil.events.event import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class TierThresholds:
    """The calibrated probabilities from which an event is low, medium or high."""

    low: float = 0.75
    medium: float = 0.85
    high: float = 0.92

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.medium <= self.high <= 1:
            raise UsageError(
                f"tiers must rise from above 0 to at most 1, not low {self.low}, medium {self.medium}, high {self.high}"
            )

    def of(self, p_alarm: float) -> Tier:
        """The tier of a probability; everything below `high` and `medium` is low."""
        if p_alarm >= self.high:
            return Tier.HIGH
        return Tier.MEDIUM if p_alarm >= self.medium else Tier.LOW
