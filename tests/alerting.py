"""What the tests of alerts share: a receiver of webhooks that fails on demand, and stores with events."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from incidents import make_event
from vigil.alerts import AlertSettings, Outbox
from vigil.alerts.settings import AnySink, WebhookSettings
from vigil.events import Event, EventChange, Tier
from vigil.store import Store
from vigil.store.deliveries import Delivery
from waiting import until

LOOPBACK = ("127.0.0.0/8", "::1")


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that came, when, and how it was answered."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    at_s: float

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """A real HTTP server that takes webhooks; `statuses` are given in turn, then `status`, after `delay_s`."""

    port: int = 0
    status: int = 204
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    posted: list[Posted] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/hook"

    @property
    def taken(self) -> list[Posted]:
        """What it answered with 2xx."""
        return [each for each in list(self.posted) if each.status < 300]

    @contextmanager
    def serving(self) -> Iterator["Receiver"]:
        """Listens until the end of the block; then its port refuses connections."""
        server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.port = server.server_port
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else receiver.status
                time.sleep(receiver.delay_s)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posted.append(Posted(self.path, headers, body, status, time.time()))
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        return Handler


@contextmanager
def receiver(**settings: Any) -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver(**settings).serving() as running:
        yield running


def webhook(url: str, name: str = "hook", **settings: Any) -> WebhookSettings:
    """The settings of a webhook on the loopback."""
    return WebhookSettings(**{"name": name, "url": url, "allow": LOOPBACK} | settings)


def alerts_to(*sinks: AnySink, **settings: Any) -> AlertSettings:
    """Settings with these sinks."""
    return AlertSettings(sinks=sinks, **{"drain_s": 30.0} | settings)


def alarm(**fields: Any) -> Event:
    """An event of the high tier that goes on."""
    values: dict[str, Any] = {"tier": Tier.HIGH, "epoch_s": 1_795_967_266.0}
    return make_event(**values | fields)


def save(store: Store, event: Event, outbox: Outbox | None = None) -> Event:
    """Saves an event as a watcher does, and tells the outbox."""
    for change in store.events.save(event):
        if outbox is not None and change.kind in ("opened", "raised", "closed"):
            outbox.on_change(EventChange(change.kind, event, sequence=change.sequence))
    return event


def settled(store: Store, *, sink: str = "") -> list[Delivery]:
    """All deliveries, once every sink has read the change log to its end and none waits."""
    until(lambda: _is_read(store) and not store.deliveries.find(sink=sink, state="waiting"))
    return store.deliveries.find(sink=sink)


def _is_read(store: Store) -> bool:
    cursors = store.cursors.all().items()
    read = [at for (name, _), at in cursors if name.startswith("alerts:") and not name.endswith(":escalations")]
    return min(read, default=0) >= store.changes.last()


def write_media(store: Store, event: Event) -> dict[str, bytes]:
    """A snapshot and a clip of an event; returns their contents."""
    files = {"snapshots": b"\xff\xd8picture\xff\xd9", "clips": b"film"}

    def writer(data: bytes) -> Any:
        return lambda path: Path(path).write_bytes(data)

    store.media.keep(event.id, "snapshots", ".jpg", writer(files["snapshots"]))
    store.media.keep(event.id, "clips", ".mp4", writer(files["clips"]))
    return files
