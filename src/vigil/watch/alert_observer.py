"""AlertObserver: hands what a watcher publishes to the outbox of the alerts, which delivers it in its own thread.

A program that starts one watcher after another keeps one outbox for all of them (`LastingAlerts`).
"""

from contextlib import ExitStack
from typing import Self

from vigil.alerts.outbox import Outbox
from vigil.alerts.settings import AlertSettings
from vigil.events import EventChange
from vigil.history.scheduled_report import write_report
from vigil.store import Store
from vigil.watch.observers import WatchObserver
from vigil.watch.settings import WatchSettings


class AlertObserver(WatchObserver):
    """Runs an outbox from `__enter__` to `__exit__`, and wakes it with each change.

    Raises UsageError if a sink lacks a secret or a program.
    """

    def __init__(self, alerts: AlertSettings, store: Store) -> None:
        self.outbox = Outbox(alerts, store, write_report=write_report)

    def __enter__(self) -> Self:
        self.outbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.outbox.close()

    def on_change(self, change: EventChange) -> None:
        self.outbox.on_change(change)


class LastingAlerts(WatchObserver):
    """An outbox that goes on while no watcher runs, as when the endpoint is down: what is due is still delivered."""

    def __init__(self, settings: WatchSettings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._observer: AlertObserver | None = None

    def begin(self) -> None:
        """Starts the outbox unless it runs or there are no sinks; raises StoreError and UsageError."""
        settings = self._settings
        if self._observer is not None or not settings.alerts.sinks or not settings.store:
            return
        with ExitStack() as stack:
            store = stack.enter_context(Store.open(settings.store, folder=settings.store_folder))
            self._observer = stack.enter_context(AlertObserver(settings.alerts, store))
            self._stack = stack.pop_all()

    def on_change(self, change: EventChange) -> None:
        if self._observer is not None:
            self._observer.on_change(change)

    def end(self) -> None:
        """Ends the outbox, after what is due was sent or has timed out."""
        self._stack.close()
        self._observer = None
