"""A finding of the check: what is wrong or odd in a dataset, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

FindingLevel: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """An error would train or score wrongly, a warning is worth a look; `where` names the places.

    `more` counts those that are not named, where there are too many.
    """

    level: FindingLevel
    what: str
    where: tuple[str, ...] = ()
    more: int = 0


def finding_for(level: FindingLevel, what: str, where: Sequence[str]) -> list[Finding]:
    """One finding for all the places, with their number before `what`; none when there are no places."""
    return [Finding(level, f"{len(where)} {what}", tuple(where))] if where else []
