"""The request's words and pictures, laid out as the training examples are: pictures first, then the question."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import pybase64

from vigil.models import time_text

Media: TypeAlias = Literal["video", "images"]
"""`video`: a frame list as one video, what the model was trained on. `images`: the fallback for other servers."""

Message: TypeAlias = dict[str, Any]

CONTINUED: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
"""The request's fields that make the server go on with an answer that has begun (vLLM)."""


def messages(jpegs: Sequence[bytes], question: str, *, media: Media, fps: float) -> list[Message]:
    """One user turn that shows the JPEGs, `1/fps` seconds apart, and asks the question."""
    parts = [video_part(jpegs)] if media == "video" else image_parts(jpegs, fps=fps)
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]


def answer_begun(asked: Sequence[Message], beginning: str) -> list[Message]:
    """The messages with an answer that begins so; send it with `CONTINUED`."""
    return [*asked, {"role": "assistant", "content": beginning}]


def video_part(jpegs: Sequence[bytes]) -> dict[str, Any]:
    """The frames as one `data:video/jpeg` item; the server's media fps gives them their times."""
    frames = ",".join(_base64(jpeg) for jpeg in jpegs)
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{frames}"}}


def image_parts(jpegs: Sequence[bytes], *, fps: float) -> list[dict[str, Any]]:
    """The frames as single images, each behind its time, as a server without `video/jpeg` can read them."""
    parts: list[dict[str, Any]] = []
    for index, jpeg in enumerate(jpegs):
        parts.append({"type": "text", "text": time_text(index / fps)})
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(jpeg)}"}})
    return parts


def _base64(data: bytes) -> str:
    return pybase64.b64encode_as_string(data)
