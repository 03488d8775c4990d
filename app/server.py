"""Command line and HTTP server of the web pages.

uvicorn serves the pages with limits on connections, request times and log lines. Errors end in one line and an exit
code, as with `vigil`.
"""

import argparse
import asyncio
import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from vigil.environments import gc_frozen
from vigil.errors import JobError, SourceError, UsageError, VigilError
from vigil.judge import read_key
from vigil.serving.server import check_port
from vigil.sources.address import Address, Source, find_sources
from vigil.watch import WatchSettings
from vigil.watch.background import BackgroundWatcher
from vigil.watch.run import endpoint_of
from vigil.watch.settings import load_watch_settings

from . import audit_log
from .access import LOCAL_HOSTS, check_host
from .accounts import Accounts, existing_store
from .allowed_cameras import AllowedCameras
from .demo import demo, play_demo_video
from .endpoint_monitor import EndpointMonitor
from .http import tls
from .http.client_deadlines import TimedRequests, timed_protocol
from .http.connections import ConnectionLimits, Connections, Deadlines, connection_limits, raise_limit
from .http.listener import listen
from .http.rate_limited_log import RateLimitFilter
from .language import translator
from .meaning_search import MeaningSearcher
from .options import parser
from .passwords import Users, hash_passwords, read_users
from .trusted_proxies import TrustedProxies
from .web.context import SiteContext, SiteOptions
from .web.event_store import open_store
from .web.root_path import RootPath
from .web.upload_quota import UploadLimits
from .web.uploads import Uploads

log = logging.getLogger(__name__)


BACKLOG = 128
"""Length of the accept queue; asyncio also accepts this many connections in one go."""

LIMITED_LOGS = ("asyncio", "uvicorn.error", f"{__package__}.web.gradio_patches", "python_multipart.multipart")
"""Loggers that any visitor's request can trigger, so they are rate-limited; the loggers of the watch are not."""


def server(
    app: ASGIApp, *, connections: Connections, host: str = "127.0.0.1", port: int = 0, **options: Any
) -> uvicorn.Server:
    """A uvicorn server that enforces the limits of `connections`; `options` are passed to uvicorn."""
    settings: dict[str, Any] = {
        "host": host,
        "port": port,
        "log_level": "warning",
        "timeout_graceful_shutdown": 2,
        "backlog": BACKLOG,
        # Our sockets work only with asyncio's own loop. Websockets are off: they would bypass the protocol class.
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
    """Serves until interrupted; raises UsageError if it cannot listen, JobError if the server does not start."""
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
        raise JobError("the pages did not start; the messages above say why")


LIVE_FPS = 5.0
"""Live pictures per second in the watch room, unless the settings say otherwise (docs/console.md)."""


SERVICE = "service"
"""The last word of the program that serves no pages."""


def main(argv: Sequence[str] | None = None, *, program: str = "web.py") -> int:
    """Serves the pages until Ctrl-C; returns the exit code. Help and errors name the `program`."""
    given = parser(program).parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(audit_log.is_told(RateLimitFilter()))
    try:
        run(given, with_pages=not program.endswith(SERVICE))
    except VigilError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


def run(given: argparse.Namespace, *, with_pages: bool = True) -> None:
    """Checks all options before anything but the store is opened, then serves; without pages, the service alone."""
    _check_positive("--upload-mb", given.upload_mb)
    _check_positive("--keep-uploads-min", given.keep_uploads_min)
    _check_positive("--session-hours", given.session_hours)
    if given.hash_passwords:
        _hash_passwords(given.auth)
        return
    named = {name: getattr(given, name) for name in ("url", "model", "model_dir", "ca_file", "task", "store")}
    settings = load_watch_settings(
        given.config, {key: value for key, value in named.items() if value is not None}, given.set
    )
    viewers = frozenset(name.strip() for word in given.viewers for name in word.split(",") if name.strip())
    users = read_users(given.auth, viewers=viewers)
    trusted = TrustedProxies.of(given.trusted_proxy)
    options = SiteOptions(
        host=given.host,
        port=given.port,
        users=users,
        session_s=given.session_hours * 3600.0,
        trusted_proxies=trusted,
        root=RootPath.of(given.root_path),
        tls=tls.certificate(given.tls_cert, given.tls_key),
        upload_mb=given.upload_mb,
        upload_limits=UploadLimits.of_mb(
            upload=given.upload_mb,
            visitor=given.uploads_visitor_mb,
            total=given.uploads_total_mb,
            free=given.keep_free_mb,
        ),
        connection_limits=connection_limits(
            raise_limit(), in_all=given.connections, per_address=given.connections_per_address, trusted=trusted
        ),
        keep_uploads_s=given.keep_uploads_min * 60.0,
        folder=given.folder,
        allow_cameras=tuple(given.allow_camera),
        allow_any_camera=given.allow_any_camera,
    )
    check_host(options.host, _accounts(users, settings), options.trusted_proxies, options.root)
    if options.root.path and not options.trusted_proxies.networks:
        log.warning("without --trusted-proxy ADDRESS all visitors count as one, and cookies go without Secure")
    if options.host not in LOCAL_HOSTS and options.tls is None and not options.trusted_proxies.networks:
        log.warning("without TLS everybody on the network can read passwords and pictures: --tls-cert and --tls-key")
    check_port(options.host, options.port)
    if given.demo and given.url is None:
        with demo(settings, folder=options.folder / "demo") as (served, key):
            serve(options, served, api_key=key, with_pages=with_pages)
        return
    if given.demo:
        settings = play_demo_video(settings, folder=options.folder / "demo")
    serve(options, settings, api_key=read_key(given.key_file, url=settings.url), with_pages=with_pages)


def _accounts(users: Users, settings: WatchSettings) -> Accounts:
    """The users of the file and those of the store that is watched into."""
    return Accounts(users, partial(existing_store, settings.store, settings.store_folder))


def _hash_passwords(auth: str | None) -> None:
    if auth is None:
        raise UsageError("--hash-passwords: name the file with --auth FILE")
    count = hash_passwords(auth)
    print(f"{auth}: {count} hashed; only you can read the file")  # noqa: T201


def _check_positive(option: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option} {value:g}: give a number above 0")


def serve(options: SiteOptions, settings: WatchSettings, *, api_key: str, with_pages: bool = True) -> None:
    """Serves the pages, or the service alone, until interrupted, then removes the uploads."""
    endpoint = endpoint_of(settings, api_key=api_key)
    audit_log.keep_in(options.folder)
    options = replace(options, accounts=_accounts(options.users, settings))
    uploads = Uploads.make(options.folder, keep_s=options.keep_uploads_s)
    # Gradio stores uploads here, and serves files below this folder without another copy.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
    # Gradio asks matplotlib for its backend at every event; unset, it would look for a display at the first click.
    os.environ.setdefault("MPLBACKEND", "agg")
    build = _builder(with_pages=with_pages)
    service = BackgroundWatcher(replace(settings, preview_fps=settings.preview_fps or LIVE_FPS), api_key=api_key)
    context = SiteContext(
        t=translator("en"),
        options=options,
        settings=settings,
        endpoint=endpoint,
        status=EndpointMonitor(endpoint, settings),
        uploads=uploads,
        allowed=AllowedCameras.of(_cameras(settings), options.allow_cameras, every=options.allow_any_camera),
        service=service,
        meaning=MeaningSearcher(settings.ask_by_meaning),
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_showing)
    store = open_store(context)
    acts = None if store is None else audit_log.StoredActs(store.audit)
    try:
        with gc_frozen():
            app = build(context)
        scheme = "http" if options.tls is None else "https"
        address = f"{scheme}://{options.host}:{options.port}{options.root.path}"
        what = "pages are" if with_pages else "service is"
        place = address if with_pages else f"{address}/api/v1"
        print(f"Vigil's {what} at {place} (Ctrl-C ends {'them' if with_pages else 'it'})", flush=True)  # noqa: T201
        serve_pages(
            app,
            host=options.host,
            port=options.port,
            limits=options.connection_limits,
            # app.trusted_proxies decides on the client's address; uvicorn would trust every local process.
            proxy_headers=False,
            server_header=False,
            ssl_certfile=None if options.tls is None else options.tls.certificate,
            ssl_keyfile=None if options.tls is None else options.tls.key,
        )
    finally:
        service.stop()
        uploads.remove()
        if acts is not None:
            acts.stop()


def _builder(*, with_pages: bool) -> Callable[[SiteContext], ASGIApp]:
    """What builds the application; Gradio is loaded later, at the first visit of a page of its own."""
    if with_pages:
        with gc_frozen():
            from .web.site import build_app
        return build_app
    with gc_frozen():
        from .api.app import build_service
    return build_service


def _is_worth_showing(record: logging.LogRecord) -> bool:
    """Hides two messages that are no errors: a second Ctrl-C, and connections still open at the end."""
    text = record.getMessage()
    if "KeyboardInterrupt" in text or "timeout graceful shutdown exceeded" in text:
        return False
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def _cameras(settings: WatchSettings) -> list[Address]:
    """The configured sources; the watch room reports those that do not exist."""
    there: list[Source] = []
    for word in settings.sources:
        with contextlib.suppress(SourceError):
            find_sources([word])
            there.append(word)
    return find_sources(there) if there else []
