"""The page, as Gradio's blocks with two things more: a request is looked at before Gradio believes it, and few sessions
are kept.

Of each session Gradio keeps what its inputs held last, as long as there is room: for 10,000 of them, unless told.
"""

import asyncio
import logging
from functools import partial
from typing import Any

import gradio as gr

from app.web.received import check_length, checked

log = logging.getLogger(__name__)

MOST_SESSIONS = 256
"""Pages of one language that are kept open, or were; the one that has rested the longest makes way."""


class CheckedBlocks(gr.Blocks):
    """Blocks whose inputs may only be files that a visitor has sent, and no longer than a question; others are a
    `gradio.Error`.

    What goes wrong is told in words of the page, `trouble`, and in the log (`app.web.serve` limits it), where Gradio
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
