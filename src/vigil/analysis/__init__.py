"""The analysis of one video or camera for one person: verdicts as they come, live or window by window, then results.

    analysis = Analysis(address, question=question, endpoint=endpoint, settings=WatchSettings())
    analysis.start()
    while not (view := analysis.view()).is_over:
        ...

It runs watches of `vigil.watch`, one after the other as the mode is switched, and keeps nothing in the store.
"""

from vigil.analysis.analysis import Analysis, AnalysisView
from vigil.analysis.segments import AnalysisResults

__all__ = ["Analysis", "AnalysisResults", "AnalysisView"]
