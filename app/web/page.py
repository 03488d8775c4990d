"""The page, as Gradio's blocks with one thing more: a request does not say where on this machine a file is.

Gradio takes a file from where the browser says it was uploaded to, and checks that only in pages that were started by
`launch()`. Mounted in another application, as here, a request could name any file of the server, or an address that
the server would fetch.
"""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, traverse


class Page(gr.Blocks):
    """Blocks whose inputs may only be files that a visitor has sent; others are a `gradio.Error`."""

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *more: Any, **named: Any) -> Any:
        """Gradio's, after a look at every file that the request names."""
        traverse(inputs, _check_sent, is_file_obj)
        return await super().preprocess_data(block_fn, inputs, *more, **named)


def _check_sent(file: dict[str, Any]) -> dict[str, Any]:
    path = str(file["path"])
    if not Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error("a file that was not sent to these pages cannot be asked about")
    return file
