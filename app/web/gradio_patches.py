"""What Gradio's pages get beside Gradio: language in the first lines, slower polling, checked requests, a size limit.

- Gradio takes the language of its own words ("drop the file here") from the browser; here it comes from the page. What
  Gradio calls a page's head comes too late for that, so it is written into the first lines of the response.
- Gradio's server looks for events a thousand times a second for each language, and its progress sign goes on counting
  sixty times a second after it has gone. Together that was a fifth of a slow core.
- Gradio keeps the last inputs of 10,000 sessions unless it is told otherwise, and decodes what a request holds. Here a
  request is checked first, and few sessions are kept.
- The browser checks the size of a file before it sends anything.
"""

import asyncio
import gzip
import json
import logging
import re
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.language import LANGUAGES, Language, translator
from app.web.context import MB
from app.web.received import check_length, checked

log = logging.getLogger(__name__)


EVENT_POLL_S = 0.01
PROGRESS_POLL_S = 0.1

SILENT: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
"""For events without a sign of loading.

Gradio tells the stages of each event to every component that might show such a sign, and takes a copy of all that it
holds each time, be it a figure or a list of rows: some 20 ms of a slow browser, several times a click.
"""

PROGRESS_SCRIPT = (Path(__file__).resolve().parent / "scripts" / "idle.js").read_text(encoding="utf-8")


def slow_event_polling(page: gr.Blocks) -> None:
    """An event waits `EVENT_POLL_S` at the most before its work begins; nobody sees that."""
    page._queue.sleep_when_free = EVENT_POLL_S
    page._queue.progress_update_sleep_when_free = PROGRESS_POLL_S


TAGS: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
HEAD = b"<head>"
MANIFEST = re.compile(rb'<link rel="manifest"[^>]*>')
"""For an app on a phone's start screen, which these pages are not; it leads out of a proxy's path for them."""

LANGUAGE_SCRIPT = """<head><script>
for (const [name, value] of Object.entries({ language: %(tag)s, languages: [%(tag)s] }))
  Object.defineProperty(navigator, name, { get: () => value, configurable: true });
document.documentElement.lang = %(tag)s;
%(idle)s</script><link rel="icon" href="data:,">"""


class HeadScriptMiddleware:
    """ASGI middleware before Gradio's pages; everything but the pages themselves passes as it is."""

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
    """Holds an answer back until all of it is there, and sends it with its first lines."""

    def __init__(self, language: Language, send: Send, *, is_zipped: bool) -> None:
        self._script = (LANGUAGE_SCRIPT % {"tag": json.dumps(TAGS[language]), "idle": PROGRESS_SCRIPT}).encode()
        self._send = send
        self._is_zipped = is_zipped
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Takes one message of the answer."""
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
    """The language whose page is asked for."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    return next((language for language in LANGUAGES if scope["path"] in {f"/{language}", f"/{language}/"}), None)


MOST_SESSIONS = 256
"""Pages of one language that are kept open, or were; the one that has rested the longest makes way."""


class CheckedBlocks(gr.Blocks):
    """Blocks whose inputs may only be files that a visitor has sent, and no longer than a question; others are a
    `gradio.Error`.

    What goes wrong is told in words of the page, `trouble`, and in the log (`app.server` limits it), where Gradio
    would print two thousand bytes for every request that makes no sense.
    """

    def __init__(self, *, trouble: str, **more: Any) -> None:
        super().__init__(**more)
        self._trouble = trouble
        self.state_session_capacity = MOST_SESSIONS

    async def process_api(self, *asked: Any, **named: Any) -> dict[str, Any]:
        """Gradio's, with errors that it does not print."""
        try:
            return await super().process_api(*asked, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            log.exception("an event of the pages failed")
            raise gr.Error(self._trouble, print_exception=False) from error

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """Gradio's, after a look at what the request holds and names."""
        look = partial(_looked_at, block_fn, inputs)
        return await super().preprocess_data(block_fn, await asyncio.to_thread(look), *more, **named)


def _looked_at(block_fn: Any, inputs: list[Any]) -> list[Any]:
    found = [checked(value, may_hold=not block_fn.preprocess) for value in inputs]
    for component, value in zip(block_fn.inputs, found, strict=False):
        check_length(value, component)
    return found


UPLOAD_SCRIPT = (Path(__file__).resolve().parent / "scripts" / "size.js").read_text(encoding="utf-8")


def upload_limit_script(language: Language, *, upload_mb: int) -> str:
    """The script for the head of a page."""
    words = translator(language)("site.too_big", names="{names}", limit=upload_mb)
    told = json.dumps(words).replace("<", "\\u003c")
    return (
        f"<script>\n(() => {{\nconst most = {upload_mb * MB};\nconst words = {told};\n{UPLOAD_SCRIPT}}})();\n</script>"
    )
