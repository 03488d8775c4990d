"""The root path under which a reverse proxy serves the site, in URLs, cookies and requests.

Between the two middlewares here, all code uses paths of the site alone (`/en/`). `BelowRootPath` comes first and strips
the root path, for proxies that leave it on; `WithRootPath` restores it before Gradio and Starlette, which build URLs
from it.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from vigil.errors import UsageError

from ..allowed_routes import begins_route

ROOT_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
LONGEST = 200
PATH_CHARACTERS = "/:@!$&'()*+,;=~"
"""Characters that need no escaping in the path of a URL."""


@dataclass(frozen=True, slots=True)
class RootPath:
    """Where on its host the site begins: `/vigil`, or empty if it has the host to itself."""

    path: str = ""

    @classmethod
    def of(cls, path: str) -> "RootPath":
        """Parses the value of `--root-path`; raises UsageError."""
        if not path:
            return cls()
        if "://" in path or path.startswith("//"):
            raise UsageError(f"--root-path {path!r} is a full URL: give only its path, such as /vigil")
        if len(path) > LONGEST or ROOT_PATH.fullmatch(path) is None:
            raise UsageError(
                f"--root-path {path[:LONGEST]!r}: give the path that the proxy has for these pages, such as /vigil or "
                "/apps/vigil: it begins with /, does not end with it, and is made of letters, digits and - . _ ~ "
                f"without . or .. as a part, at most {LONGEST} characters; omit it if they have the host to themselves"
            )
        if begins_route(path):
            raise UsageError(f"--root-path {path}: the pages use that path themselves; choose another one")
        return cls(path)

    def url(self, place: str) -> str:
        """The URL of a path of the site (`/en/`), as a browser requests it."""
        return self.path + place

    @property
    def cookie_path(self) -> str:
        """The path attribute of the site's cookies."""
        return self.path or "/"

    def cookie_name(self, name: str) -> str:
        """The name of a cookie, distinct per root path: one for the whole host would hide it."""
        return name + self.path.replace("/", "_")

    def below(self, path: str) -> str:
        """A requested path without the root path, whether or not the proxy has stripped it."""
        if path == self.path:
            return "/"
        return path.removeprefix(self.path) if path.startswith(f"{self.path}/") else path


class BelowRootPath:
    """ASGI middleware before everything that reads paths: strips the root path."""

    def __init__(self, app: ASGIApp, *, root: RootPath) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root.path and "path" in scope:
            scope = _at(scope, self._root.below(scope["path"]))
        await self._app(scope, receive, send)


class WithRootPath:
    """ASGI middleware just before the pages: restores the root path and sets ASGI's `root_path`."""

    def __init__(self, app: ASGIApp, *, root: RootPath) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root.path and "path" in scope:
            scope = {**_at(scope, self._root.url(scope["path"])), "root_path": self._root.path}
        await self._app(scope, receive, send)


def _at(scope: Scope, path: str) -> Scope:
    return {**scope, "path": path, "raw_path": quote(path, safe=PATH_CHARACTERS).encode()}
