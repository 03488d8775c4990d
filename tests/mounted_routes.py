"""Prints method and path of every route of the pages: `python tests/mounted_routes.py FOLDER`."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from app.web.site import build_app

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


if __name__ == "__main__":
    for method, path in mounted(build_app(context_of(Path(sys.argv[1]))).routes):
        print(method, path)
