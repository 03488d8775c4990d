"""Prometheus metrics of a watch, on a port of choice: `vigil watch cam.txt --metrics-port 9100`.

Everything is counted by camera: its name, which never holds a password, and its id, which stays.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from vigil.errors import UsageError
from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.watch.metrics_server import MetricsServer
from vigil.watch.observer import Observer
from vigil.watch.state import PASSED_OVER, SourceState, Stage
from vigil.watch.watch import Watch

BREAKER = {"closed": 0, "probing": 1, "open": 2}
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Metrics(Observer):
    """Counts what a watch does; `serve` shows it at `http://127.0.0.1:PORT/metrics`."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        source = ["source", "camera"]
        kinds = [*source, "outcome", "cause"]
        self._windows = Counter("vigil_windows", "Windows by outcome and cause", kinds, registry=own)
        self._events = Counter("vigil_events", "Events opened", source, registry=own)
        self._tokens = Counter("vigil_tokens", "Tokens read and written by the endpoint", source, registry=own)
        self._wordless = Gauge(
            "vigil_words_skipped", "Alarms that were not put into words, too many waited", source, registry=own
        )
        self._connections = Gauge("vigil_connections", "Times a source was connected", source, registry=own)
        self._connected = Gauge("vigil_connected", "1 while a source gives pictures", source, registry=own)
        self._p_alarm = Gauge("vigil_p_alarm", "The last probability of alarm", source, registry=own)
        self._latency = Histogram(
            "vigil_verdict_seconds", "From the question to the verdict", source, registry=own, buckets=SECONDS
        )
        self._lag = Histogram(
            "vigil_lag_seconds", "From a last frame's capture to its verdict", source, registry=own, buckets=SECONDS
        )
        self._breaker = Gauge("vigil_breaker", "0 closed, 1 probing, 2 open", registry=own)
        self._losses = Gauge("vigil_store_losses", "Verdicts and events that could not be stored", registry=own)
        self._refused = Gauge("vigil_store_refused", "Those of them that the database refused", registry=own)
        self._media_losses = Gauge("vigil_media_losses", "Pictures and clips that could not be kept", registry=own)
        self._faults = Gauge("vigil_faults", "What failed in Vigil itself and was done again or left", registry=own)
        self._waiting = Gauge("vigil_store_waiting", "Events that wait for the store", registry=own)
        self._states: Callable[[], Mapping[str, SourceState]] = dict

    def follow(self, watch: Watch) -> None:
        """Reads the breaker and the store whenever the metrics are asked for."""
        self._states = lambda: watch.states
        self._breaker.set_function(lambda: BREAKER[watch.breaker.state])
        self._faults.set_function(lambda: watch.supervisor.failures.total())
        self._media_losses.set_function(lambda: watch.media_losses)
        if (keeper := watch.keeper) is not None:
            self._losses.set_function(lambda: keeper.losses)
            self._refused.set_function(lambda: keeper.refused)
            self._waiting.set_function(lambda: keeper.waiting)

    def serve(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Shows the metrics over HTTP; raises UsageError when the port is taken."""
        try:
            MetricsServer(self.registry).start(port, host=host)
        except OSError as error:
            raise UsageError(
                f"metrics cannot be shown at {host}:{port} ({error.strerror}); choose another port"
            ) from error

    def state(self, state: SourceState) -> None:
        self._connected.labels(state.name, state.camera_id).set(state.stage is Stage.WATCHING)
        self._connections.labels(state.name, state.camera_id).set(state.connections)
        if not state.is_current:
            self._forget_p(state.name, state.camera_id)

    def judged(self, judged: Judged) -> None:
        verdict = judged.verdict
        self._windows.labels(judged.source, judged.camera_id, verdict.outcome, verdict.cause or "").inc()
        if verdict.cause is None and judged.captured_s is not None:
            self._lag.labels(judged.source, judged.camera_id).observe(time.time() - judged.captured_s)
        if verdict.cause is None:
            self._latency.labels(judged.source, judged.camera_id).observe(verdict.latency_ms / 1000.0)
        source = self._states().get(judged.source)
        if verdict.p_alarm is not None and (source is None or source.is_current):
            self._p_alarm.labels(judged.source, judged.camera_id).set(verdict.p_alarm)
        elif verdict.cause not in PASSED_OVER:
            self._forget_p(judged.source, judged.camera_id)

    def _forget_p(self, source: str, camera_id: str) -> None:
        """A probability that is not of now is none, rather than the last one for ever."""
        with suppress(KeyError):
            self._p_alarm.remove(source, camera_id)

    def told(self, judged: Judged) -> None:
        # Only now are the tokens of the words among them.
        self._tokens.labels(judged.source, judged.camera_id).inc(judged.verdict.tokens)
        if (state := self._states().get(judged.source)) is not None:
            self._wordless.labels(judged.source, judged.camera_id).set(state.words_skipped)

    def changed(self, change: Change) -> None:
        if change.kind == "opened":
            self._events.labels(change.event.source, change.event.camera_id).inc()
