"""`vigil web`: serves the web pages, from a wheel with the extra `web` or from a checkout.

The pages are the package `app` beside `src` in a checkout, and `vigil.app` in a wheel. They are looked up by name,
since nothing below them may import them.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from vigil.environments import gc_frozen
from vigil.errors import UsageError

PASS_THROUGH: dict[str, Any] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    # `--help` is handled by the pages, which define the options.
    "help_option_names": [],
}

CHECKOUT = Path(__file__).resolve().parents[3]


def web(context: typer.Context) -> None:
    """Serve the web pages: chat, analysis, watch room and review.

    Example: vigil web --url http://127.0.0.1:8000/v1
    """
    if find_spec("gradio") is None:
        raise UsageError("the web pages need packages that are not installed; run: pip install 'vigil[web]'")
    # Uploads, and everything that libraries make of them, are for this user only.
    os.umask(0o077)
    raise typer.Exit(load_app("server").main(context.args, program="vigil web"))


def load_app(module: str) -> Any:
    """A module of the package of the pages; raises UsageError if this installation has none."""
    if find_spec("vigil.app") is not None:
        return _load(f"vigil.app.{module}")
    if not (CHECKOUT / "app" / "server.py").is_file():
        raise UsageError("this installation of vigil has no web pages; install the wheel, or run web.py in a checkout")
    sys.path.insert(0, str(CHECKOUT))
    return _load(f"app.{module}")


def _load(name: str) -> Any:
    with gc_frozen():
        return import_module(name)
