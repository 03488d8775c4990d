"""`vigil service`: the watch with its REST and event API, without the web pages; Gradio is never loaded."""

import os
from importlib.util import find_spec
from typing import Any

import typer

from vigil.cli.web import PASS_THROUGH as PASS_THROUGH
from vigil.cli.web import load_app
from vigil.errors import UsageError

NEEDED = ("fastapi", "uvicorn", "argon2", "itsdangerous", "python_multipart")


def service(context: typer.Context) -> None:
    """Watch cameras and serve the REST and event API.

    Example: vigil service --url http://127.0.0.1:8000/v1
    """
    missing: list[Any] = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(f"the service needs {missing[0]}, which is not installed; run: pip install 'vigil[service]'")
    # Uploads, and everything that libraries make of them, are for this user only.
    os.umask(0o077)
    raise typer.Exit(load_app("server").main(context.args, program="vigil service"))
