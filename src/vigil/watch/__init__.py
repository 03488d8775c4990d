"""Watching: from any source to an event, live, without lying and without losing anything.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        watch = Watch(find_sources(["clips/"]), judge=judge, settings=WatchSettings(), observers=[...])
        summary = await watch.run()

`vigil.watch.watch` is the whole way from a frame to an alarm, to be read from top to bottom.
"""

from vigil.watch.observer import WatchObserver
from vigil.watch.service import BackgroundWatcher
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, WatchSummary
from vigil.watch.watch import Watcher

__all__ = ["WatchObserver", "SourceState", "WatchSummary", "Watcher", "BackgroundWatcher", "WatchSettings"]
