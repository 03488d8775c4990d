"""Prometheus metrics of a watcher, served over HTTP: `vigil watch cam.txt --metrics-port 9100`.

Metrics are labelled by camera name, which never contains a password, and by camera id, which does not change.

The HTTP server is a small one of our own, so that many connections or slow clients cannot exhaust it. One thread serves
all connections; each may send one request, of limited size, within a few seconds. When all places are taken, the oldest
connection is closed, so that a scrape, which sends its request at once, is always answered.
"""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from wsgiref.headers import Headers

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.observation import Observation
from vigil.verdict import JudgedWindow
from vigil.watch.observers import WatchObserver
from vigil.watch.state import NOT_JUDGED, SourceState, SourceStatus
from vigil.watch.watcher import Watcher

log = logging.getLogger(__name__)


MOST_CONNECTIONS = 128
CONNECTION_S = 5.0
"""The time limit of a connection, from its opening to the last byte of the response."""

HEAD_BYTES = 8192
BACKLOG = 32
"""Connections accepted at a time: fewer than there are places, or new ones would be closed before they are read."""

END_OF_HEAD = b"\r\n\r\n"


class MetricsServer:
    """Serves the metrics of a registry in response to every GET, until `stop` or the end of the process."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        most_connections: int = MOST_CONNECTIONS,
        connection_s: float = CONNECTION_S,
    ) -> None:
        self._app = make_wsgi_app(registry)
        self._most_connections = most_connections
        self._connection_s = connection_s
        self._open: dict[asyncio.StreamWriter, None] = {}
        self._over = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, port: int, *, host: str) -> int:
        """Listens in its own thread; returns the port. Raises OSError if the port is taken."""
        listener = socket.create_server((host, port), backlog=BACKLOG)
        # With port 0 the system chooses a port.
        chosen: int = listener.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen(listener)), name="metrics", daemon=True)
        self._thread.start()
        return chosen

    def stop(self) -> None:
        """Closes all connections and ends the thread."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join()

    async def _listen(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        async with await asyncio.start_server(self._serve, sock=listener, limit=HEAD_BYTES, backlog=BACKLOG):
            await self._over.wait()
            for writer in self._open:
                writer.transport.abort()
            while self._open:
                await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection: one request, one response, then it is closed."""
        self._make_room()
        self._open[writer] = None
        try:
            async with asyncio.timeout(self._connection_s):
                writer.write(await self._response_to(reader))
                # A connection that has sent its request is evicted after those that have not.
                self._open[writer] = self._open.pop(writer, None)
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
            log.debug("a metrics connection ended without a response: %r", error)
        finally:
            # A client that does not read its response would keep the connection open forever.
            writer.transport.abort()
            self._open.pop(writer, None)

    async def _response_to(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(END_OF_HEAD)
        except asyncio.LimitOverrunError:
            return _refusal("431 Request Header Fields Too Large")
        return self._response(head.decode("latin-1"))

    def _make_room(self) -> None:
        while len(self._open) >= self._most_connections:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    def _response(self, head: str) -> bytes:
        request_line, *lines = head.split("\r\n")
        parts = request_line.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _refusal("400 Bad Request")
        if parts[0] not in ("GET", "HEAD"):
            return _refusal("405 Method Not Allowed")
        headers = Headers([(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)])
        path, _, query = parts[1].partition("?")
        responses: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, fields: list[tuple[str, str]], *_: Any) -> None:
            responses.append((status, fields))

        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_ACCEPT": headers.get("Accept") or "",
            "HTTP_ACCEPT_ENCODING": headers.get("Accept-Encoding") or "",
        }
        body = b"".join(self._app(environ, start_response))
        (status, fields) = responses[0]
        return _message(status, fields, b"" if parts[0] == "HEAD" else body, length=len(body))


def _refusal(status: str) -> bytes:
    return _message(status, [], b"", length=0)


def _message(status: str, fields: Iterable[tuple[str, str]], body: bytes, *, length: int) -> bytes:
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields)]
    head += [f"Content-Length: {length}", "Connection: close", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


BREAKER = {"closed": 0, "probing": 1, "open": 2}
SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class PrometheusMetrics(WatchObserver):
    """Counts what a watcher does; `serve` exposes it at `http://127.0.0.1:PORT/metrics`."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        source = ["source", "camera"]
        kinds = [*source, "outcome", "cause"]
        self._windows = Counter("vigil_windows", "Windows by outcome and cause", kinds, registry=own)
        self._events = Counter("vigil_events", "Events opened", source, registry=own)
        self._tokens = Counter("vigil_tokens", "Tokens read and written by the endpoint", source, registry=own)
        self._observations = Gauge(
            "vigil_observations", "Observations: made, skipped, kept as words", [*source, "outcome"], registry=own
        )
        self._descriptions_skipped = Gauge(
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

    def follow(self, watch: Watcher) -> None:
        """Reads the circuit breaker, the store writer and the failure counts of a watcher at every scrape."""
        self._states = lambda: watch.states
        self._breaker.set_function(lambda: BREAKER[watch.breaker.state])
        self._faults.set_function(lambda: watch.supervisor.failures.total())
        self._media_losses.set_function(lambda: watch.media_losses)
        if (writer := watch.writer) is not None:
            self._losses.set_function(lambda: writer.lost)
            self._refused.set_function(lambda: writer.refused)
            self._waiting.set_function(lambda: writer.waiting)

    def serve(self, port: int, *, host: str = "127.0.0.1") -> None:
        """Serves the metrics over HTTP; raises UsageError if the port is taken."""
        try:
            MetricsServer(self.registry).start(port, host=host)
        except OSError as error:
            raise UsageError(
                f"metrics cannot be shown at {host}:{port} ({error.strerror}); choose another port"
            ) from error

    def on_state(self, state: SourceState) -> None:
        self._connected.labels(state.name, state.camera_id).set(state.stage is SourceStatus.WATCHING)
        self._connections.labels(state.name, state.camera_id).set(state.connections)
        if not state.is_current:
            self._remove_p_alarm(state.name, state.camera_id)

    def on_verdict(self, judged: JudgedWindow) -> None:
        verdict = judged.verdict
        self._windows.labels(judged.source, judged.camera_id, verdict.outcome, verdict.cause or "").inc()
        if verdict.cause is None and judged.captured_s is not None:
            self._lag.labels(judged.source, judged.camera_id).observe(time.time() - judged.captured_s)
        if verdict.cause is None:
            self._latency.labels(judged.source, judged.camera_id).observe(verdict.latency_ms / 1000.0)
        source = self._states().get(judged.source)
        if verdict.p_alarm is not None and (source is None or source.is_current):
            self._p_alarm.labels(judged.source, judged.camera_id).set(verdict.p_alarm)
        elif verdict.cause not in NOT_JUDGED:
            self._remove_p_alarm(judged.source, judged.camera_id)

    def _remove_p_alarm(self, source: str, camera_id: str) -> None:
        """Removes the probability of a source, as the last one is out of date."""
        with suppress(KeyError):
            self._p_alarm.remove(source, camera_id)

    def on_result(self, judged: JudgedWindow) -> None:
        # Only the result includes the description's tokens.
        self._tokens.labels(judged.source, judged.camera_id).inc(judged.verdict.tokens)
        if (state := self._states().get(judged.source)) is not None:
            self._descriptions_skipped.labels(judged.source, judged.camera_id).set(state.descriptions_skipped)
            self._note_observations(state)

    def on_observation(self, observation: Observation) -> None:
        self._tokens.labels(observation.source, observation.camera_id).inc(observation.tokens)

    def _note_observations(self, state: SourceState) -> None:
        counts = {
            "made": state.observations,
            "skipped": state.observations_skipped,
            "as_words": state.observations_as_words,
        }
        for outcome, count in counts.items():
            if count:
                self._observations.labels(state.name, state.camera_id, outcome).set(count)

    def on_change(self, change: EventChange) -> None:
        if change.kind == "opened":
            self._events.labels(change.event.source, change.event.camera_id).inc()
