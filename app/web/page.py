"""The page, as Gradio's blocks with one thing more: a request does not say where on this machine a file is.

Gradio takes a file from where the browser says it was uploaded to, and checks that only in pages that were started by
`launch()`. Mounted in another application, as here, a request could name any file of the server, or an address that
the server would fetch.
"""

import logging
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse

log = logging.getLogger(__name__)


class Page(gr.Blocks):
    """Blocks whose inputs may only be files that a visitor has sent; others are a `gradio.Error`.

    What goes wrong is told in words of the page, `trouble`, and in the log (`app.web.serve` limits it), where Gradio
    would print two thousand bytes for every request that makes no sense.
    """

    def __init__(self, *, trouble: str, **more: Any) -> None:
        super().__init__(**more)
        self._trouble = trouble

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
        """Gradio's, after a look at every file that the request names."""
        traverse(inputs, _check_sent, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *more, **named)


def _check_sent(file: dict[str, Any]) -> dict[str, Any]:
    path = str(file["path"])
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("a file that was not sent to these pages cannot be asked about")
    return file
