"""Alerts: changes of events out to people and systems, at least once and never in the way; see docs/alerts.md."""

from vigil.alerts.message import AlertMessage
from vigil.alerts.outbox import Outbox
from vigil.alerts.settings import AlertSettings, AnySink
from vigil.alerts.sink import Sink, build_sink

__all__ = ["AlertMessage", "AlertSettings", "AnySink", "Outbox", "Sink", "build_sink"]
