"""Serving the pages with uvicorn, within limits: how many come, how long each may take, how much the log says."""

import logging
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from app.web.connections import Connections, Deadlines
from app.web.descriptors import ConnectionLimits
from app.web.listener import listen
from app.web.rate_limited_log import RateLimitFilter
from app.web.timed import TimedRequests, timed_protocol
from vigil.errors import JobError

BACKLOG = 128
"""Connections that wait to be accepted; asyncio also accepts so many in one go."""

LIMITED_LOGS = ("asyncio", "uvicorn.error", "app.web.page", "python_multipart.multipart")
"""Who writes what a request of any kind brings about; what the watch has to say is not among it."""


def server(
    app: ASGIApp, *, connections: Connections, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> uvicorn.Server:
    """A server of uvicorn's that keeps the limits of its connections; `options` are uvicorn's (certificates, say)."""
    settings: dict[str, Any] = {
        "host": host,
        "port": port,
        "log_level": "warning",
        "timeout_graceful_shutdown": 2,
        "backlog": BACKLOG,
        # Sockets of ours, which only asyncio's own loop asks; no websockets, which would leave the protocol behind.
        "loop": "asyncio",
        "http": timed_protocol(connections),
        "ws": "none",
    }
    timed = TimedRequests(app, deadlines=connections.deadlines)
    return uvicorn.Server(uvicorn.Config(timed, **(settings | options)))


def serve_pages(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    limits: ConnectionLimits,
    deadlines: Deadlines | None = None,
    **options: Any,
) -> None:
    """Serves until it is interrupted; raises UsageError where nothing can listen, JobError where nothing starts."""
    for name in LIMITED_LOGS:
        logging.getLogger(name).addFilter(RateLimitFilter())
    connections = Connections(limits, deadlines)
    listeners = listen(host, port, connections, backlog=BACKLOG)
    running = server(app, connections=connections, host=host, port=port, **options)
    try:
        running.run(sockets=list(listeners))
    except KeyboardInterrupt:
        pass
    finally:
        for listener in listeners:
            listener.close()
    if not running.started:
        raise JobError("the pages did not start; what stands above says why")
