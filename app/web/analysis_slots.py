"""The limit on analyses that run at once, for all visitors and tabs."""

from vigil.analysis import Analysis

AT_ONCE = 8
"""Analyses that run at the same time; further visitors are refused with a message."""


class AnalysisSlots:
    """The running analyses; used from the event loop only, so it needs no lock."""

    def __init__(self) -> None:
        self._taken: list[Analysis] = []

    def is_full(self, *, leaving: Analysis | None = None) -> bool:
        """Whether all slots are taken, not counting `leaving`."""
        self._taken = [analysis for analysis in self._taken if not analysis.wait(0)]
        return sum(analysis is not leaving for analysis in self._taken) >= AT_ONCE

    def take(self, analysis: Analysis) -> None:
        """Holds a slot for an analysis until it is over."""
        self._taken.append(analysis)
