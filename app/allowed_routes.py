"""The routes that are open to visitors; every other route that Gradio mounts returns 404.

Gradio mounts over a hundred routes, some of which fetch URLs, run FFmpeg on uploads or write code. This is an allow
list, so a new version of Gradio opens nothing by itself; `tests/unit/app/mounted_routes.txt` lists every route.
"""

import re
from dataclasses import dataclass

from .language import LANGUAGES

READING = frozenset({"GET", "HEAD"})
PLACEHOLDERS = {
    "language": "|".join(LANGUAGES),
    "word": r"[A-Za-z0-9_-]{1,100}",
    "asset": r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]*(?:/[A-Za-z0-9_@-][A-Za-z0-9_.@-]*)*",
    "path": r"/.+",
}
"""What `{name}` may stand for in a route: an asset has no segment that begins with a dot; a path is absolute."""

START_PAGES = ("/", "/{language}", "/{language}/", "/sign-in")
"""Where links from other sites may lead."""

OPEN_TO_READ = (
    *START_PAGES,
    "/language/{language}",
    "/alarms/{language}",
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
_BEGINNINGS = RouteList.of(tuple({begun for route in (*OPEN_TO_READ, *OPEN_TO_SEND) for begun in _beginnings(route)}))


def is_open(method: str, path: str) -> bool:
    """Whether a route is open; `path` is decoded, as in the ASGI scope."""
    if method in READING:
        return path in _READ
    return method == "POST" and path in _SEND


def is_start_page(method: str, path: str) -> bool:
    """Whether links from other sites may lead here: these pages change nothing."""
    return method in READING and path in _START


def begins_route(path: str) -> bool:
    """Whether a route is at or below this path, which therefore cannot be used as the root path."""
    return path in _BEGINNINGS
