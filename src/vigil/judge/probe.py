"""Which form of the pictures a server takes: asked once with two small grey frames."""

import logging
from functools import cache

import numpy as np
import openai

from vigil.errors import EndpointBusy, EndpointError
from vigil.frames import encode_jpeg
from vigil.judge.faults import REPLY_FAULTS, detail_of, endpoint_error, is_answer
from vigil.judge.pages import is_page, not_json
from vigil.judge.prompt import MediaForm, chat_messages

log = logging.getLogger(__name__)

PROBE_SIDE_PX = 64


@cache
def _grey_jpeg() -> bytes:
    return encode_jpeg(np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 128, np.uint8), quality=80)


async def supported_media(client: openai.AsyncOpenAI, model: str, *, quiet: bool = False) -> MediaForm:
    """`video` where the server reads a frame list, else `images`.

    Raises EndpointError when it takes neither, EndpointAway when it did not tell: a fault says nothing of the form.
    """
    complaint = await _refusal(client, model, "video")
    if complaint is None:
        return "video"
    if await _refusal(client, model, "images") is None:
        log.log(
            logging.DEBUG if quiet else logging.WARNING,
            "model %s takes no frame lists (%s); frames are sent as single images with time marks, which is not "
            "what Vigil's models are trained on",
            model,
            complaint,
        )
        return "images"
    raise EndpointError(f"model {model} takes neither a frame-list video nor images: {complaint}")


async def _refusal(client: openai.AsyncOpenAI, model: str, media: MediaForm) -> str | None:
    """Why the server refuses this form of pictures; None when it takes it."""
    url = str(client.base_url).rstrip("/")
    asked = chat_messages([_grey_jpeg()] * 2, "?", media=media, fps=2.0)
    try:
        told: object = await client.chat.completions.create(model=model, messages=asked, max_tokens=1)  # type: ignore[arg-type]
    except REPLY_FAULTS as error:
        if is_answer(error):
            return detail_of(error)
        raise endpoint_error(error, url, is_there=True) from error
    if isinstance(told, str) and is_page(told):
        raise EndpointBusy(f"{url}: {not_json(told)}")
    return None
