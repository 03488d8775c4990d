"""The command line of the web pages; errors end on one line, as with `vigil`."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.web.access import AUTH_VARIABLE, check_host, read_users
from app.web.allowed import AllowedCameras
from app.web.context import SiteContext, SiteOptions
from app.web.language import translator
from app.web.status import StatusBoard
from app.web.uploads import Uploads
from vigil.config import find_config, load_config
from vigil.errors import VigilError
from vigil.judge import Endpoint, read_key
from vigil.serving.process import check_port
from vigil.sources.address import find_sources
from vigil.watch import WatchSettings

EXAMPLES = f"""examples:
  python web.py                                      http://127.0.0.1:7860, asking http://127.0.0.1:8000/v1
  python web.py --demo                               serves the tiny model too: nothing else is needed
  python web.py --url http://10.0.0.5:8000/v1 --key-file server.key
  python web.py --host 0.0.0.0 --auth users.txt      users.txt holds name:password, one a line (chmod 600)
  {AUTH_VARIABLE}=name:password python web.py --host 0.0.0.0
"""


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
    settings = load_config(WatchSettings, find_config("watch", given.config))
    named = {"url": given.url, "model": given.model, "model_dir": given.model_dir, "task": given.task}
    settings = replace(settings, **{key: value for key, value in named.items() if value is not None})
    serve(options, settings, api_key=read_key(given.key_file))


def serve(options: SiteOptions, settings: WatchSettings, *, api_key: str) -> None:
    """Serves the pages until it is interrupted, and removes what visitors sent."""
    endpoint = Endpoint(url=settings.url, model=settings.model, api_key=api_key)
    cameras = find_sources(settings.sources) if settings.sources else []
    uploads = Uploads.make(options.folder, keep_s=options.keep_uploads_s)
    # Gradio keeps what it is sent here, and shows without another copy what lies here.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads.folder)
    import uvicorn

    from app.web.site import build_app

    context = SiteContext(
        t=translator("en"),
        options=options,
        settings=settings,
        endpoint=endpoint,
        status=StatusBoard(endpoint, settings),
        uploads=uploads,
        allowed=AllowedCameras.of(cameras, options.allow_cameras, every=options.allow_any_camera),
    )
    try:
        app = build_app(context)
        print(f"Vigil's pages are at http://{options.host}:{options.port} (Ctrl-C ends them)", flush=True)  # noqa: T201
        uvicorn.run(app, host=options.host, port=options.port, log_level="warning", timeout_graceful_shutdown=2)
    finally:
        uploads.remove()


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
    add("--key-file", type=Path, help="file with the endpoint's key (else $VIGIL_API_KEY or .vigil/key)")
    add("--task", help="task name or YAML file")
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
