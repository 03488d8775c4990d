"""Checks the inputs of an event before Gradio processes them: files, embedded pictures and lengths.

Gradio takes a file from the path that the request gives, and checks it only in pages started by `launch()`. Mounted in
another application, as here, a request could name any file of the server, or a URL for the server to fetch. An embedded
picture is decoded in this process whatever its size: 880 kB took 3 GB of memory and 25 s of a core.

So a file must be one that was uploaded before. Only a webcam's event, for which Gradio does no preprocessing
(`preprocess=False`), may embed a picture: it is written to a file, and the handler decodes it in another process.
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

EMBEDDED_PICTURE = re.compile(r"data:image/[a-z0-9.+-]{1,20};base64,(?P<data>[A-Za-z0-9+/=]*)")
"""A data URL as browsers write a canvas."""

USUAL_CHARACTERS = 8192
"""Characters of JSON per input, beyond the limit of its own text: four files take about 2000."""


def checked(value: Any, *, may_embed: bool) -> Any:
    """Checks the files of an input; raises gradio.Error for one that was not uploaded.

    With `may_embed`, no file may be named; an embedded picture becomes `{"path": FILE}`, which the handler removes.
    """
    return traverse(value, partial(_embedded if may_embed else _sent), _is_file)


def check_length(value: Any, component: Any) -> None:
    """Raises gradio.Error if an input is longer than its component allows; sessions keep their last inputs."""
    own = getattr(component, "max_plain_text_length", None) or getattr(component, "max_length", None) or 0
    most = USUAL_CHARACTERS + own
    if len(json.dumps(value, ensure_ascii=False)) > most:
        raise gr.Error(f"what was sent is longer than the {most} characters that this takes")


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and ("path" in value or "url" in value)


def _sent(file: dict[str, Any]) -> dict[str, Any]:
    path, url = file.get("path"), file.get("url")
    is_embedded = isinstance(url, str) and url.lower().startswith("data:")
    folder = Path(get_upload_folder()).resolve()
    if is_embedded or not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder):
        raise gr.Error("a file that was not sent to these pages cannot be asked about")
    return file


def _embedded(file: dict[str, Any]) -> dict[str, Any]:
    found = EMBEDDED_PICTURE.fullmatch(str(file.get("url")))
    if found is None or file.get("path") is not None:
        raise gr.Error("a picture was expected, in the request itself")
    try:
        data = base64.b64decode(found["data"], validate=True)
    except binascii.Error as error:
        raise gr.Error("what was sent is no picture") from error
    handle, name = tempfile.mkstemp(prefix="webcam-", dir=get_upload_folder())
    with os.fdopen(handle, "wb") as out:
        out.write(data)
    return {"path": name}
