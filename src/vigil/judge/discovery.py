"""Discovers what an endpoint serves: its models, their contracts, context lengths and accepted media form.

Problems that would make every later verdict wrong or unknown are reported here, once. The media form is detected with a
request of two small grey frames.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import openai

from vigil.errors import EndpointBusy, EndpointError
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import declared_contracts
from vigil.judge.endpoint import Endpoint
from vigil.judge.endpoint_http import EndpointHttp
from vigil.judge.error_pages import is_page, not_json
from vigil.judge.faults import REPLY_FAULTS, detail_of, endpoint_error, is_answer, unusable_answer
from vigil.judge.model_client import MediaForm, chat_messages
from vigil.judge.openai_transport import BoundedClient
from vigil.manifest import ALIAS_PREFIX, Answers, Contract, answers_from_alias
from vigil.models import family_reading
from vigil.models.tokens import window_tokens

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model of the endpoint; `alias` encodes its contract if the server declares one, as `vllm.sh` does.

    `contract` is the contract itself; older servers declare only the alias. `root` is the folder of its weights
    according to the server, or empty. `base` is the name of the base model if this is an adapter and its base is served
    too, else empty.
    """

    name: str
    alias: str = ""
    contract: Contract | None = None
    base: str = ""
    root: str = ""
    max_model_len: int | None = None

    def describer(self, answers: Answers = "words") -> str:
        """Returns the name of the model to ask for descriptions; empty if this model's answers contain them.

        `answers` comes from a manifest, for servers that declare no contract. A verdict-only adapter leaves
        descriptions to its base; a verdict-only model without a base is asked itself.
        """
        trained_on = answers_from_alias(self.alias) if self.alias else answers
        return (self.base or self.name) if trained_on == "verdict" else ""


def open_openai_client(endpoint: Endpoint, *, timeout_s: float, retries: int) -> openai.AsyncOpenAI:
    """Returns an openai client for this endpoint that limits response sizes and never contacts another host."""
    return openai.AsyncOpenAI(
        base_url=endpoint.url,
        # The package requires a key; servers without authentication ignore it.
        api_key=endpoint.api_key or "none",
        timeout=timeout_s,
        max_retries=retries,
        http_client=BoundedClient(endpoint, deadline_s=timeout_s),
    )


async def find_model(client: openai.AsyncOpenAI, endpoint: Endpoint) -> ServedModel:
    """Returns the named model, or the only one there is; raises EndpointError if there is no such model."""
    cards = await _cards(client, endpoint)
    plain = [card for card in cards if not card.id.startswith(ALIAS_PREFIX)]
    card = _choose(plain, endpoint)
    return _served(card, cards, await _declared_contracts(endpoint, None))


async def list_models(
    client: openai.AsyncOpenAI, endpoint: Endpoint, http: EndpointHttp | None = None
) -> list[ServedModel]:
    """Returns every model of the endpoint with its contract; raises EndpointError if they cannot be listed.

    `http` is an existing client; without it, one is opened for this call.
    """
    cards = await _cards(client, endpoint)
    contracts = await _declared_contracts(endpoint, http)
    return [_served(card, cards, contracts) for card in cards if not card.id.startswith(ALIAS_PREFIX)]


async def _declared_contracts(endpoint: Endpoint, http: EndpointHttp | None) -> dict[str, Contract]:
    async with nullcontext(http) if http else EndpointHttp(endpoint, deadline_s=declared_contracts.TIMEOUT_S) as client:
        return await declared_contracts.fetch_declared_contracts(endpoint, client)


def _served(card: Any, cards: Sequence[Any], contracts: Mapping[str, Contract]) -> ServedModel:
    """Returns a model with the contract its server declares, or the alias that older servers list beside it."""
    contract = contracts.get(card.id)
    alias = contract.alias if contract is not None else _alias_beside(card, cards)
    return ServedModel(
        name=card.id,
        alias=alias,
        contract=contract,
        base=_base_beside(card, cards),
        root=str(getattr(card, "root", None) or ""),
        max_model_len=getattr(card, "max_model_len", None),
    )


def _base_beside(card: Any, cards: Sequence[Any]) -> str:
    """Returns the name of an adapter's base model; empty if it is no adapter or its base is not served."""
    parent = getattr(card, "parent", None)
    return str(parent) if parent and parent in {other.id for other in cards if other is not card} else ""


async def _cards(client: openai.AsyncOpenAI, endpoint: Endpoint) -> list[Any]:
    try:
        return list((await client.models.list()).data)
    except REPLY_FAULTS as error:
        raise _no_list(error, endpoint) from error


NO_LIST = (ValueError, AttributeError, TypeError, openai.APIResponseValidationError)


def _no_list(error: BaseException, endpoint: Endpoint) -> EndpointError:
    if not (is_answer(error) or unusable_answer(error) or isinstance(error, NO_LIST)):
        return endpoint_error(error, endpoint.url)
    reason = "it sent no list" if isinstance(error, AttributeError | TypeError) else detail_of(error)
    return EndpointError(f"{endpoint.url} does not list its models ({reason}); is it an OpenAI-compatible address?")


def _choose(cards: Sequence[Any], endpoint: Endpoint) -> Any:
    names = [card.id for card in cards]
    if not cards:
        raise EndpointError(f"{endpoint.url} serves no model")
    if not endpoint.model:
        require_one_model({card.id: getattr(card, "root", None) for card in cards}, endpoint)
        return cards[0]
    if endpoint.model not in names:
        raise EndpointError(f"{endpoint.url} has no model {endpoint.model!r}; it serves {', '.join(names)}")
    return cards[names.index(endpoint.model)]


def require_one_model(roots: Mapping[str, str | None], endpoint: Endpoint) -> None:
    """Raises EndpointError if the names (with the root of each) belong to several models, such as base and LoRA."""
    if len({root or name for name, root in roots.items()}) > 1:
        raise EndpointError(f"{endpoint.url} serves several models; name one with --model: {', '.join(roots)}")


def _alias_beside(card: Any, cards: Sequence[Any]) -> str:
    """Returns the contract alias that is listed with the same weights as this model, or ""."""
    root = getattr(card, "root", None)
    same = [c.id for c in cards if c.id.startswith(ALIAS_PREFIX) and getattr(c, "root", None) == root]
    return str(same[0]) if same else ""


def contract_differences(model: ServedModel, contract: Contract, *, strict: bool) -> list[str]:
    """Returns the differences between the server's contract and ours; raises EndpointError for any if `strict`."""
    if model.alias:
        differences = contract.differences(model.alias)
    else:
        differences = ["the server does not tell its contract (vllm.sh would); it cannot be checked"]
    if strict and differences:
        raise EndpointError(f"model {model.name} was trained otherwise: {'; '.join(differences)}")
    return differences


def check_context_length(model: ServedModel, question: str, sampling: FrameSampling, *, answer_tokens: int) -> None:
    """Raises EndpointError if a full window does not fit the server's context."""
    if model.max_model_len is None:
        return
    needed = window_tokens(family_reading(sampling), sampling, question) + answer_tokens
    if needed > model.max_model_len:
        raise EndpointError(
            f"a window needs up to {needed} tokens ({sampling.frames} frames of {sampling.max_pixels} pixels, the "
            f"question and {answer_tokens} for the answer) and {model.name} is served with {model.max_model_len}; "
            f"serve it with --max-model-len {needed} or more, or lower --max-pixels"
        )


PROBE_SIDE_PX = 64


@cache
def _grey_jpeg() -> bytes:
    return encode_jpeg(np.full((PROBE_SIDE_PX, PROBE_SIDE_PX, 3), 128, np.uint8), quality=80)


async def supported_media(client: openai.AsyncOpenAI, model: str, *, quiet: bool = False) -> MediaForm:
    """Returns `video` if the server accepts a frame list, else `images`.

    Raises EndpointError if it accepts neither, EndpointUnreachable if a failure leaves the question open.
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
    """Returns the server's reason for refusing this media form, or None if it accepts it."""
    url = str(client.base_url).rstrip("/")
    messages = chat_messages([_grey_jpeg()] * 2, "?", media=media, fps=2.0)
    try:
        completion: object = await client.chat.completions.create(model=model, messages=messages, max_tokens=1)  # type: ignore[arg-type]
    except REPLY_FAULTS as error:
        if is_answer(error):
            return detail_of(error)
        raise endpoint_error(error, url, has_answered=True) from error
    if isinstance(completion, str) and is_page(completion):
        raise EndpointBusy(f"{url}: {not_json(completion)}")
    return None
