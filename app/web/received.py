"""What a request names or holds as a file, and how much it may say: looked at before Gradio gets it.

Gradio takes a file from where the request says it lies, and checks that only in pages that were started by `launch()`.
Mounted in another application, as here, a request could name any file of the server, or an address that the server
would fetch. A picture that the request holds itself Gradio decodes in this process, whatever its size: 880 kB took
3 GB of memory and 25 s of a core.

So a file is one that the visitor has sent before. Only an event that Gradio prepares nothing for (`preprocess=False`),
a webcam's, may hold a picture: it is put into a file as it came, and whoever handles the event decodes it apart.
"""

import base64
import binascii
import json
import os
import re
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import traverse

HELD_PICTURE = re.compile(r"data:image/[a-z0-9.+-]{1,20};base64,(?P<data>[A-Za-z0-9+/=]*)")
"""As browsers write the picture of a canvas."""

USUAL_CHARACTERS = 8192
"""What any input may hold as JSON, beside the text that its own limit allows: four files take some 2000."""


def checked(value: Any, *, may_hold: bool) -> Any:
    """An input of an event with its files looked at; raises gradio.Error for one that was never sent.

    With `may_hold` no file may be named, and a picture in it becomes `{"path": FILE}`, which the handler removes.
    """
    return traverse(value, partial(_held if may_hold else _sent), _is_file)


def check_length(value: Any, component: Any) -> None:
    """Raises gradio.Error for an input that is longer than its component takes: every session keeps its last ones."""
    own = getattr(component, "max_plain_text_length", None) or getattr(component, "max_length", None) or 0
    most = USUAL_CHARACTERS + own
    if len(json.dumps(value, ensure_ascii=False)) > most:
        raise gr.Error(f"what was sent is longer than the {most} characters that this takes")


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and ("path" in value or "url" in value)


def _sent(file: dict[str, Any]) -> dict[str, Any]:
    path, url = file.get("path"), file.get("url")
    held = isinstance(url, str) and url.lower().startswith("data:")
    folder = Path(get_upload_folder()).resolve()
    if held or not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder):
        raise gr.Error("a file that was not sent to these pages cannot be asked about")
    return file


def _held(file: dict[str, Any]) -> dict[str, Any]:
    found = HELD_PICTURE.fullmatch(str(file.get("url")))
    if found is None or file.get("path") is not None:
        raise gr.Error("a picture was expected, in the request itself")
    try:
        data = base64.b64decode(found["data"], validate=True)
    except binascii.Error as error:
        raise gr.Error("what was sent is no picture") from error
    handle, name = tempfile.mkstemp(prefix="webcam-", dir=get_upload_folder())
    with os.fdopen(handle, "wb") as kept:
        kept.write(data)
    return {"path": name}
