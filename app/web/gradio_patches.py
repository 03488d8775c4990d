"""Adjustments to Gradio: polling, checked requests, upload size. The language of its pages is in `head_script`.

- Gradio's server polls for events a thousand times a second per language.
- Gradio keeps the last inputs of 10,000 sessions by default, and decodes whatever a request holds. Here requests are
  checked first, and few sessions are kept.
- The browser checks the size of a file before it uploads it.
"""

import asyncio
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from ..language import Language, translator
from .context import MB
from .received import check_length, checked

log = logging.getLogger(__name__)


EVENT_POLL_S = 0.01
PROGRESS_POLL_S = 0.1

SILENT: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
"""For events without a progress indicator.

Gradio reports the stages of each event to every component that might show one, and copies all its data each time, even
a figure or a list of rows: some 20 ms of a slow browser, several times a click.
"""


def slow_event_polling(page: gr.Blocks) -> None:
    """Raises the polling interval to `EVENT_POLL_S`, which is too short to be noticed."""
    page._queue.sleep_when_free = EVENT_POLL_S
    page._queue.progress_update_sleep_when_free = PROGRESS_POLL_S


MOST_SESSIONS = 256
"""Sessions kept per language; the least recently used is evicted."""


class CheckedBlocks(gr.Blocks):
    """Blocks that accept only uploaded files, and text up to the component's limit; other inputs raise `gradio.Error`.

    Unexpected errors are shown as the text `trouble` and logged (`app.server` limits the log), where Gradio would
    print a traceback of two thousand bytes for every malformed request.
    """

    def __init__(self, *, trouble: str, **more: Any) -> None:
        super().__init__(**more)
        self._trouble = trouble
        self.state_session_capacity = MOST_SESSIONS

    async def process_api(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """Gradio's method, without printed tracebacks."""
        try:
            return await super().process_api(*arguments, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            log.exception("an event of the pages failed")
            raise gr.Error(self._trouble, print_exception=False) from error

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """Gradio's method, after a check of the request's inputs."""
        check = partial(_checked_inputs, block_fn, inputs)
        return await super().preprocess_data(block_fn, await asyncio.to_thread(check), *more, **named)


def _checked_inputs(block_fn: Any, inputs: list[Any]) -> list[Any]:
    found = [checked(value, may_embed=not block_fn.preprocess) for value in inputs]
    for component, value in zip(block_fn.inputs, found, strict=False):
        check_length(value, component)
    return found


UPLOAD_SCRIPT = (Path(__file__).resolve().parent / "scripts" / "size.js").read_text(encoding="utf-8")


def upload_limit_script(language: Language, *, upload_mb: int) -> str:
    """The script for the head of a page."""
    message = translator(language)("site.too_big", names="{names}", limit=upload_mb)
    text = json.dumps(message).replace("<", "\\u003c")
    return (
        f"<script>\n(() => {{\nconst most = {upload_mb * MB};\nconst words = {text};\n{UPLOAD_SCRIPT}}})();\n</script>"
    )
