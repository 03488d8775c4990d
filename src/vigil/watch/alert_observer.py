"""AlertObserver: hands what a watcher publishes to the outbox of the alerts, which delivers it in its own thread."""

from typing import Self

from vigil.alerts.outbox import Outbox
from vigil.alerts.settings import AlertSettings
from vigil.events import EventChange
from vigil.store import Store
from vigil.watch.observers import WatchObserver


class AlertObserver(WatchObserver):
    """Runs an outbox from `__enter__` to `__exit__`, and wakes it with each change.

    Raises UsageError if a sink lacks a secret or a program.
    """

    def __init__(self, alerts: AlertSettings, store: Store) -> None:
        self.outbox = Outbox(alerts, store)

    def __enter__(self) -> Self:
        self.outbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.outbox.close()

    def on_change(self, change: EventChange) -> None:
        self.outbox.on_change(change)
