"""The routes that are open to visitors; every other route that Gradio mounts returns 404.

Gradio mounts over a hundred routes, some of which fetch URLs, run FFmpeg on uploads or write code. This is an allow
list, so a new version of Gradio opens nothing by itself; `tests/unit/app/mounted_routes.txt` lists every route.
"""

import re
from dataclasses import dataclass

from .language import LANGUAGES

API = "/api/v1"
"""The path of the service (`app.api`), whose routes have the methods that they answer."""

READING = frozenset({"GET", "HEAD"})
PLACEHOLDERS = {
    "language": "|".join(LANGUAGES),
    "word": r"[A-Za-z0-9_-]{1,100}",
    "number": r"[0-9]{1,9}",
    "camera": r"[^/]{1,200}",
    "format": r"json|csv|srt",
    "asset": r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]*(?:/[A-Za-z0-9_@-][A-Za-z0-9_.@-]*)*",
    "path": r"/.+",
}
"""What `{name}` may stand for in a route: an asset has no segment that begins with a dot; a path is absolute."""

CONSOLE_PAGES = (
    "/{language}/watch",
    "/{language}/events",
    "/{language}/events/{word}",
    "/{language}/ask",
    "/{language}/report",
)
"""The pages of the console; links to them are in alerts."""

START_PAGES = ("/", "/{language}", "/{language}/", *CONSOLE_PAGES, "/sign-in")
"""Where links from other sites may lead."""

OPEN_TO_READ = (
    *START_PAGES,
    "/language/{language}",
    "/console/pictures",
    "/console/static/{asset}",
    "/{language}/assets/{asset}",
    "/{language}/static/{asset}",
    "/{language}/theme.css",
    "/{language}/gradio_api/app_id",
    "/{language}/gradio_api/file={path}",
    "/{language}/gradio_api/heartbeat/{word}",
    "/{language}/gradio_api/queue/data",
    "/{language}/gradio_api/upload_progress",
)
OPEN_TO_SEND = (
    "/sign-in",
    "/sign-out",
    "/{language}/gradio_api/cancel",
    "/{language}/gradio_api/component_server/",
    "/{language}/gradio_api/queue/join",
    "/{language}/gradio_api/reset",
    "/{language}/gradio_api/run/predict",
    "/{language}/gradio_api/stream/{word}",
    "/{language}/gradio_api/stream/{word}/close",
    "/{language}/gradio_api/upload",
)

API_ROUTES: dict[str, tuple[str, ...]] = {
    "/ask": ("POST",),
    "/ask/stream": ("POST",),
    "/audit": ("GET",),
    "/cameras": ("GET", "POST"),
    "/cameras/test": ("POST",),
    "/cameras/{camera}": ("GET", "PATCH", "DELETE"),
    "/cameras/{camera}/missed": ("POST",),
    "/cameras/{camera}/moment": ("GET",),
    "/cameras/{camera}/pause": ("POST",),
    "/cameras/{camera}/picture": ("GET",),
    "/cameras/{camera}/resume": ("POST",),
    "/cameras/{camera}/strip": ("GET",),
    "/cameras/{camera}/verdicts": ("GET",),
    "/cameras/{camera}/view": ("POST",),
    "/rules": ("GET",),
    "/events": ("GET",),
    "/events/choices": ("GET",),
    "/events/count": ("GET",),
    "/events/export.{format}": ("GET",),
    "/events/marks": ("POST",),
    "/events/{word}": ("GET",),
    "/events/{word}/acknowledge": ("POST",),
    "/events/{word}/clip": ("GET", "HEAD"),
    "/events/{word}/deliveries": ("GET",),
    "/events/{word}/frames": ("GET",),
    "/events/{word}/frames.zip": ("GET",),
    "/events/{word}/frames/{number}/{number}": ("GET", "HEAD"),
    "/events/{word}/marks": ("GET", "POST"),
    "/events/{word}/probability": ("GET",),
    "/events/{word}/snapshot": ("GET", "HEAD"),
    "/events/{word}/speech": ("GET",),
    "/events/{word}/thumbnail": ("GET",),
    "/events/{word}/verdicts": ("GET",),
    "/events/{word}/why": ("GET",),
    "/health": ("GET",),
    "/judge": ("POST",),
    "/live": ("GET",),
    "/metrics": ("GET",),
    "/missed": ("GET",),
    "/missed/export.{format}": ("GET",),
    "/missed/{word}": ("DELETE",),
    "/observations": ("GET",),
    "/openapi.json": ("GET",),
    "/questions": ("GET",),
    "/ready": ("GET",),
    "/reports": ("GET",),
    "/session": ("GET",),
    "/status": ("GET",),
    "/version": ("GET",),
}
"""The routes of the service below `API`, with their methods."""

FOR_ALL = frozenset({f"{API}/health", f"{API}/ready"})
"""What a supervisor may ask without a key."""


@dataclass(frozen=True, slots=True)
class RouteList:
    """Routes compiled into one pattern."""

    pattern: re.Pattern[str]

    @classmethod
    def of(cls, routes: tuple[str, ...]) -> "RouteList":
        """Compiles routes with their placeholders."""
        return cls(re.compile("|".join(_pattern(route) for route in routes)))

    def __contains__(self, path: str) -> bool:
        return self.pattern.fullmatch(path) is not None


def _pattern(route: str) -> str:
    words = re.split(r"\{(\w+)\}", route)
    return "".join(f"(?:{PLACEHOLDERS[word]})" if index % 2 else re.escape(word) for index, word in enumerate(words))


def _beginnings(route: str) -> list[str]:
    """The prefixes of a route: `/a`, `/a/b` and `/a/b/c` for `/a/b/c`."""
    parts = route.rstrip("/").split("/")
    return ["/".join(parts[:length]) for length in range(2, len(parts) + 1)]


_START = RouteList.of(START_PAGES)
_READ = RouteList.of(OPEN_TO_READ)
_SEND = RouteList.of(OPEN_TO_SEND)
_API_ROUTES = tuple(f"{API}{route}" for route in API_ROUTES)
_BEGINNINGS = RouteList.of(
    tuple({begun for route in (*OPEN_TO_READ, *OPEN_TO_SEND, *_API_ROUTES) for begun in _beginnings(route)})
)
_API = {
    method: RouteList.of(tuple(f"{API}{route}" for route, methods in API_ROUTES.items() if method in methods))
    for method in ("GET", "HEAD", "POST", "PATCH", "DELETE")
}


CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_open(method: str, path: str) -> bool:
    """Whether a route is open; `path` is decoded, as in the ASGI scope.

    A path with a control character is none: where it holds a line break, Starlette takes it past the mounted service.
    """
    if CONTROL.search(path):
        return False
    if path.startswith(f"{API}/"):
        return path in _API.get(method, ())
    if method in READING:
        return path in _READ
    return method == "POST" and path in _SEND


def methods_of(path: str) -> list[str]:
    """The methods of a route of the service; empty if there is none at this path."""
    return [method for method, routes in _API.items() if path in routes]


def is_for_all(path: str) -> bool:
    """Whether a route is open without a user or a key."""
    return path in FOR_ALL


def is_start_page(method: str, path: str) -> bool:
    """Whether links from other sites may lead here: these pages change nothing."""
    return method in READING and path in _START


def begins_route(path: str) -> bool:
    """Whether a route is at or below this path, which therefore cannot be used as the root path."""
    return path in _BEGINNINGS
