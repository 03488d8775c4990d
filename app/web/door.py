"""The command line of the web pages; errors end on one line, as with `vigil`."""

import argparse
import asyncio
import contextlib
import logging
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.web.access import AUTH_VARIABLE, check_host, read_users
from app.web.allowed import AllowedCameras
from app.web.context import SiteContext, SiteOptions
from app.web.demo import demo, play_film
from app.web.language import translator
from app.web.status import StatusBoard
from app.web.stubs import without_stubs
from app.web.uploads import Uploads
from vigil.errors import SourceError, UsageError, VigilError
from vigil.judge import read_key
from vigil.loading import loading
from vigil.serving.process import check_port
from vigil.sources.address import Address, find_sources
from vigil.watch import WatchSettings
from vigil.watch.job import endpoint_of
from vigil.watch.service import WatchService
from vigil.watch.settings import settings_of

EXAMPLES = f"""examples:
  python web.py                                      http://127.0.0.1:7860, asking http://127.0.0.1:8000/v1
  python web.py --demo                               serves the tiny model too: nothing else is needed
  python web.py --url http://10.0.0.5:8000/v1 --key-file server.key
  python web.py --config my-cameras                  the cameras of configs/watch/my-cameras.yaml
  python web.py --host 0.0.0.0 --auth users.txt      users.txt holds name:password, one a line (chmod 600)
  {AUTH_VARIABLE}=name:password python web.py --host 0.0.0.0
"""

LIVE_FPS = 5.0
"""Live pictures a second in the watch room, unless the settings say otherwise (docs/web-live-pictures.md)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Opens the pages until Ctrl-C; returns the exit code."""
    given = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        run(given)
    except VigilError as error:
        print(f"web.py: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


def run(given: argparse.Namespace) -> None:
    """Checks everything that can be wrong before anything is opened, then serves."""
    _check_positive("--upload-mb", given.upload_mb)
    _check_positive("--keep-uploads-min", given.keep_uploads_min)
    options = SiteOptions(
        host=given.host,
        port=given.port,
        users=read_users(given.auth),
        upload_mb=given.upload_mb,
        keep_uploads_s=given.keep_uploads_min * 60.0,
        folder=given.folder,
        allow_cameras=tuple(given.allow_camera),
        allow_any_camera=given.allow_any_camera,
    )
    check_host(options.host, options.users)
    check_port(options.host, options.port)
    named = {name: getattr(given, name) for name in ("url", "model", "model_dir", "ca_file", "task", "store")}
    settings = settings_of(given.config, {key: value for key, value in named.items() if value is not None}, given.set)
    if given.demo and given.url is None:
        with demo(settings, folder=options.folder / "demo") as (served, key):
            serve(options, served, api_key=key)
        return
    if given.demo:
        settings = play_film(settings, folder=options.folder / "demo")
    serve(options, settings, api_key=read_key(given.key_file, url=settings.url))


def _check_positive(option: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{option} {value:g}: give a number above 0")


def serve(options: SiteOptions, settings: WatchSettings, *, api_key: str) -> None:
    """Serves the pages until it is interrupted, and removes what visitors sent."""
    endpoint = endpoint_of(settings, api_key=api_key)
    uploads = Uploads.make(options.folder, keep_s=options.keep_uploads_s)
    # Gradio keeps what it is sent here, and shows without another copy what lies here.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
    # Gradio asks matplotlib for its backend at every event; untold, it looks for windows first, at the first click.
    os.environ.setdefault("MPLBACKEND", "agg")
    import uvicorn

    with loading(), without_stubs():
        from app.web.site import build_app

    service = WatchService(replace(settings, preview_fps=settings.preview_fps or LIVE_FPS), api_key=api_key)
    context = SiteContext(
        t=translator("en"),
        options=options,
        settings=settings,
        endpoint=endpoint,
        status=StatusBoard(endpoint, settings),
        uploads=uploads,
        allowed=AllowedCameras.of(_cameras(settings), options.allow_cameras, every=options.allow_any_camera),
        service=service,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_worth_showing)
    try:
        with loading():
            app = build_app(context)
        print(f"Vigil's pages are at http://{options.host}:{options.port} (Ctrl-C ends them)", flush=True)  # noqa: T201
        uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=2)
    finally:
        service.stop()
        uploads.remove()


def _is_worth_showing(record: logging.LogRecord) -> bool:
    """A second Ctrl-C, and pages that still listen when it ends: neither is an error for people."""
    text = record.getMessage()
    if "KeyboardInterrupt" in text or "timeout graceful shutdown exceeded" in text:
        return False
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def _cameras(settings: WatchSettings) -> list[Address]:
    """The sources of the configuration; one that is not there is for the watch room to tell."""
    found: list[Address] = []
    for word in settings.sources:
        with contextlib.suppress(SourceError):
            found += find_sources([word])
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="web.py",
        description="Vigil's web pages: chat, analysis of videos and cameras, the watch room, the review of events.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1); any other needs --auth")
    add("--port", type=int, default=7860, help="port to listen on (7860)")
    add("--auth", metavar="FILE", help=f"a file with name:password, one a line (else ${AUTH_VARIABLE})")
    add("--url", help="the OpenAI-compatible endpoint (as the configuration says)")
    add("--model", help="the served model; may be left out where there is only one")
    add("--model-dir", type=Path, help="the model's folder: its contract and calibration")
    add("--key-file", type=Path, help="file with the endpoint's key (else $VIGIL_API_KEY; .vigil/key on this machine)")
    add("--ca-file", type=Path, help="certificates of your own authority, for https (else $SSL_CERT_FILE)")
    add("--task", help="task name or YAML file")
    add("--store", help="where events are kept: a file or a database URL (as the configuration says)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting of the watch")
    add("--demo", action="store_true", help="serve the tiny model (not with --url), and watch a drawn film")
    add("--config", default="default", help="settings in configs/watch, by name or path (default)")
    add("--upload-mb", type=int, default=500, help="the largest file that may be sent (500)")
    add("--keep-uploads-min", type=float, default=60.0, help="minutes after which sent files are removed (60)")
    add("--folder", type=Path, default=Path("outputs/web"), help="where sent files lie meanwhile (outputs/web)")
    add(
        "--allow-camera",
        action="append",
        default=[],
        metavar="HOST",
        help="a camera's host, host:port or webcam number",
    )
    add("--allow-any-camera", action="store_true", help="let a camera.txt from a browser name any camera")
    return parser
