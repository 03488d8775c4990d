"""The colours of outcomes and tiers, the same in films and pictures; told apart by the colour-blind by lightness."""

from typing import TypeAlias

from vigil.events.event import Tier
from vigil.events.tiers import TierThresholds

Color: TypeAlias = tuple[int, int, int]

NORMAL: Color = (58, 170, 158)
MILD: Color = (176, 190, 84)
UNKNOWN: Color = (138, 144, 153)
INK: Color = (240, 243, 246)
FAINT: Color = (150, 158, 168)
GROUND: Color = (18, 22, 28)
PLOT: Color = (30, 36, 44)
EVEN = 0.5

TIER_COLOURS: dict[Tier, Color] = {Tier.LOW: (245, 196, 66), Tier.MEDIUM: (243, 132, 52), Tier.HIGH: (232, 52, 64)}


def color_of(p_alarm: float, tiers: TierThresholds) -> Color:
    """The colour of a probability: that of its tier; below all tiers one for likelier than not, one for normal."""
    if p_alarm >= tiers.low:
        return TIER_COLOURS[tiers.of(p_alarm)]
    return MILD if p_alarm >= EVEN else NORMAL
