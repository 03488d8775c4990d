"""The path below which a reverse proxy shows the site, and the addresses, cookies and requests that follow from it.

Everything between the two layers here knows the addresses of the site alone (`/en/`). `BelowRootPath` stands before
it and takes the path off, for proxies that leave it on; `WithRootPath` puts it back before Gradio and Starlette, which
make addresses of what they are asked for.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from app.allowed_routes import begins_route
from vigil.errors import UsageError

ROOT_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+")
LONGEST = 200
PATH_CHARACTERS = "/:@!$&'()*+,;=~"
"""What stands in the path of an address as it is."""


@dataclass(frozen=True, slots=True)
class RootPath:
    """Where on its host the site begins: `/vigil`, or nothing where it has the host for itself."""

    path: str = ""

    @classmethod
    def of(cls, word: str) -> "RootPath":
        """From what `--root-path` names; raises UsageError."""
        if not word:
            return cls()
        if "://" in word or word.startswith("//"):
            raise UsageError(f"--root-path {word!r} is a whole address: give its path alone, such as /vigil")
        if len(word) > LONGEST or ROOT_PATH.fullmatch(word) is None:
            raise UsageError(
                f"--root-path {word[:LONGEST]!r}: give the path that the proxy has for these pages, such as /vigil or "
                "/apps/vigil: it begins with /, does not end with it, and is made of letters, digits and - . _ ~ "
                f"without . or .. as a part, at most {LONGEST} characters; leave it out where they have the host alone"
            )
        if begins_route(word):
            raise UsageError(f"--root-path {word}: the pages have addresses of their own there; choose another path")
        return cls(word)

    def url(self, place: str) -> str:
        """The address of a place of the site (`/en/`) as a browser asks for it."""
        return self.path + place

    @property
    def cookie_path(self) -> str:
        """What requests the site's cookies go along with."""
        return self.path or "/"

    def cookie_name(self, name: str) -> str:
        """The name of a cookie: of its own below every path, as one for the whole host would hide it."""
        return name + self.path.replace("/", "_")

    def below(self, path: str) -> str:
        """A path that was asked for as the site knows it, whether the proxy took the root path off or left it."""
        if path == self.path:
            return "/"
        return path.removeprefix(self.path) if path.startswith(f"{self.path}/") else path


class BelowRootPath:
    """ASGI middleware before everything that looks at paths: what comes with the root path goes on without it."""

    def __init__(self, app: ASGIApp, *, root: RootPath) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root.path and "path" in scope:
            scope = _at(scope, self._root.below(scope["path"]))
        await self._app(scope, receive, send)


class WithRootPath:
    """ASGI middleware behind everything of ours: paths begin with the root path again, as ASGI's `root_path` says."""

    def __init__(self, app: ASGIApp, *, root: RootPath) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._root.path and "path" in scope:
            scope = {**_at(scope, self._root.url(scope["path"])), "root_path": self._root.path}
        await self._app(scope, receive, send)


def _at(scope: Scope, path: str) -> Scope:
    return {**scope, "path": path, "raw_path": quote(path, safe=PATH_CHARACTERS).encode()}
