"""A script at the top of Gradio's pages, which says in which language they are.

Gradio takes the language of its own texts ("drop the file here") from the browser; here the page decides. Gradio's
`head` runs too late for that.
"""

import gzip
import json
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..language import LANGUAGES, Language

TAGS: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
HEAD = b"<head>"
MANIFEST = re.compile(rb'<link rel="manifest"[^>]*>')
"""A manifest is for installed web apps, and its link ignores the root path of a proxy."""

LANGUAGE_SCRIPT = """<head><script>
for (const [name, value] of Object.entries({ language: %(tag)s, languages: [%(tag)s] }))
  Object.defineProperty(navigator, name, { get: () => value, configurable: true });
document.documentElement.lang = %(tag)s;
</script><link rel="icon" href="data:,">"""


class HeadScriptMiddleware:
    """ASGI middleware in front of Gradio's pages; other responses pass unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        language = _language_of(scope)
        if language is None:
            await self._app(scope, receive, send)
            return
        page = _Page(language, send, is_zipped="gzip" in Headers(scope=scope).get("accept-encoding", ""))
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, page.send)


class _Page:
    """Buffers a response until it is complete, then sends it with the script inserted."""

    def __init__(self, language: Language, send: Send, *, is_zipped: bool) -> None:
        self._script = (LANGUAGE_SCRIPT % {"tag": json.dumps(TAGS[language])}).encode()
        self._send = send
        self._is_zipped = is_zipped
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Takes one message of the response."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = MANIFEST.sub(b"", self._body, count=1).replace(HEAD, self._script, 1)
        headers = MutableHeaders(scope=self._start)
        if self._is_zipped:
            body = gzip.compress(body, 5)
            headers["content-encoding"] = "gzip"
        headers["content-length"] = str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


def _language_of(scope: Scope) -> Language | None:
    """The language of the requested page."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    return next((language for language in LANGUAGES if scope["path"] in {f"/{language}", f"/{language}/"}), None)
