"""The routes that visitors may reach; whatever else Gradio mounts is answered as if it were not there.

Gradio brings over a hundred routes, among them ones that fetch addresses, run FFmpeg on what they are sent and write
code. A route is open because it stands here, never because a new version of Gradio has added it; the inventory in
`tests/unit/web/mounted_routes.txt` tells of every one.
"""

import re
from dataclasses import dataclass

from app.language import LANGUAGES

READING = frozenset({"GET", "HEAD"})
PLACEHOLDERS = {
    "language": "|".join(LANGUAGES),
    "word": r"[A-Za-z0-9_-]{1,100}",
    "asset": r"[A-Za-z0-9_@-][A-Za-z0-9_.@-]*(?:/[A-Za-z0-9_@-][A-Za-z0-9_.@-]*)*",
    "path": r"/.+",
}
"""What may stand for `{name}` in a route: an asset has no segment that begins with a dot, a path is absolute."""

START_PAGES = ("/", "/{language}", "/{language}/", "/sign-in")
"""What a link of another site may lead to."""

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
    """Routes as one pattern."""

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
    """A route and everything that it lies below: `/a`, `/a/b` and `/a/b/c` of `/a/b/c`."""
    parts = route.rstrip("/").split("/")
    return ["/".join(parts[:length]) for length in range(2, len(parts) + 1)]


_START = RouteList.of(START_PAGES)
_READ = RouteList.of(OPEN_TO_READ)
_SEND = RouteList.of(OPEN_TO_SEND)
_BEGINNINGS = RouteList.of(tuple({begun for route in (*OPEN_TO_READ, *OPEN_TO_SEND) for begun in _beginnings(route)}))


def is_open(method: str, path: str) -> bool:
    """Whether a request may reach the pages at all; `path` is decoded, as ASGI gives it."""
    if method in READING:
        return path in _READ
    return method == "POST" and path in _SEND


def is_start_page(method: str, path: str) -> bool:
    """Whether a link of another site may lead here: these show the pages and change nothing."""
    return method in READING and path in _START


def begins_route(path: str) -> bool:
    """Whether a route lies at this path or below it: as the site's root path it could not be told from that route."""
    return path in _BEGINNINGS
