"""Watching: from any source to an event, live, without lying and without losing anything.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        watch = Watch(find_sources(["clips/"]), judge=judge, settings=WatchSettings(), observers=[...])
        summary = await watch.run()

`vigil.watch.watcher` is the whole way from a frame to an alarm, to be read from top to bottom.
"""

from vigil.watch.background import BackgroundWatcher
from vigil.watch.observers import WatchObserver
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, WatchSummary
from vigil.watch.watcher import Watcher

__all__ = ["BackgroundWatcher", "SourceState", "WatchObserver", "WatchSettings", "WatchSummary", "Watcher"]
