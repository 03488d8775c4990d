"""Watches sources continuously and turns frames into events.

    async with await Judge.connect(endpoint, task, sampling) as judge:
        watcher = Watcher(find_sources(["clips/"]), judge=judge, settings=WatchSettings(), observers=[...])
        summary = await watcher.run()

`vigil.watch.watcher` is the whole path from a frame to an alarm, to be read top to bottom.
"""

from vigil.watch.background import BackgroundWatcher
from vigil.watch.observers import WatchObserver
from vigil.watch.settings import WatchSettings
from vigil.watch.state import SourceState, WatchSummary
from vigil.watch.watcher import Watcher

__all__ = ["BackgroundWatcher", "SourceState", "WatchObserver", "WatchSettings", "WatchSummary", "Watcher"]
