"""Which form of the pictures a server takes: asked once with two small grey frames."""

import logging
from functools import cache

import numpy as np
import openai

from vigil.errors import EndpointError
from vigil.frames import encode_jpeg
from vigil.judge.faults import detail_of
from vigil.judge.prompt import Media, messages

logger = logging.getLogger(__name__)

PROBE_SIDE_PX = 64


@cache
def _grey_jpeg() -> bytes:
    return encode_jpeg(np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 128, np.uint8), quality=80)


async def supported_media(client: openai.AsyncOpenAI, model: str) -> Media:
    """`video` where the server reads a frame list, else `images`; raises EndpointError when it takes neither."""
    complaint = await _refusal(client, model, "video")
    if complaint is None:
        return "video"
    if await _refusal(client, model, "images") is None:
        logger.warning(
            "model %s takes no frame lists (%s); frames are sent as single images with time marks, which is not "
            "what Vigil's models are trained on",
            model,
            complaint,
        )
        return "images"
    raise EndpointError(f"model {model} takes neither a frame-list video nor images: {complaint}")


async def _refusal(client: openai.AsyncOpenAI, model: str, media: Media) -> str | None:
    """Why the server refuses this form of pictures; None when it takes it.

    Only a refusal of the request speaks of the form: any other fault passes through to the first window.
    """
    asked = messages([_grey_jpeg()] * 2, "?", media=media, fps=2.0)
    try:
        await client.chat.completions.create(model=model, messages=asked, max_tokens=1)  # type: ignore[arg-type]
    except (openai.BadRequestError, openai.UnprocessableEntityError, openai.InternalServerError) as error:
        return detail_of(error)
    except openai.AuthenticationError as error:
        raise EndpointError("the endpoint refused the key; see $VIGIL_API_KEY or --key-file") from error
    except openai.OpenAIError as error:
        logger.warning("model %s did not answer the first question (%s)", model, detail_of(error))
    return None
