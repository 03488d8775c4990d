"""Analysis of one video or camera for one person: verdicts as they arrive, live or window by window, then results.

    analysis = Analysis(address, question=question, endpoint=endpoint, settings=WatchSettings())
    analysis.start()
    while not (view := analysis.view()).is_over:
        ...

It runs watchers of `vigil.watch`, one after another as the mode is switched, and writes nothing to the store.
"""

from vigil.analysis.analysis import Analysis, AnalysisView
from vigil.analysis.segments import AnalysisResults

__all__ = ["Analysis", "AnalysisResults", "AnalysisView"]
