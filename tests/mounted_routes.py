"""Prints method and path of every route of the pages: `python tests/mounted_routes.py FOLDER`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.console.assets import ConsoleAssets
from app.language import LANGUAGES
from app.web.late_app import LateApp
from app.web.site import build_app, gradio_page

from rooms import context_of


def mounted(routes: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of every route below an application, of included routers and mounted applications too."""
    for route in routes:
        below = getattr(route, "original_router", route)
        if getattr(below, "routes", None):
            yield from mounted(below.routes, prefix + (getattr(route, "path", "") or ""))
            continue
        # What has no methods is no ordinary route: its kind stands in their place, a websocket's for example.
        for method in sorted(getattr(route, "methods", None) or {type(route).__name__}):
            yield method, prefix + route.path


def every_route(folder: Path) -> Iterator[tuple[str, str]]:
    """Method and path of all that the pages mount, those that are built at their first visit too."""
    context = context_of(folder)
    built = [route for route in build_app(context).routes if not isinstance(getattr(route, "app", None), LateApp)]
    yield from mounted(built)
    for language in LANGUAGES:
        yield from mounted(gradio_page(context, language, ConsoleAssets.read()).routes)


if __name__ == "__main__":
    for method, path in every_route(Path(sys.argv[1])):
        print(method, path)
