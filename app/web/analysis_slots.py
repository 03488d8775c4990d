"""How many analyses run at once for all visitors of the pages, whichever tab they were begun in."""

from vigil.analysis import Analysis

AT_ONCE = 8
"""Analyses that run at the same time; a ninth visitor is told so."""


class AnalysisSlots:
    """Who is being analysed for; used by the pages' event loop only, so that it needs no lock."""

    def __init__(self) -> None:
        self._taken: list[Analysis] = []

    def is_full(self, *, leaving: Analysis | None = None) -> bool:
        """Whether there is no place for one more, once `leaving` has ended."""
        self._taken = [analysis for analysis in self._taken if not analysis.wait(0)]
        return sum(analysis is not leaving for analysis in self._taken) >= AT_ONCE

    def take(self, analysis: Analysis) -> None:
        """Gives an analysis that runs a place until it is over."""
        self._taken.append(analysis)
