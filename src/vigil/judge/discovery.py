"""What the judge finds out before it asks anything: the model, its contract, its words, its limits.

Everything that would make every later verdict wrong or unknown is said here, once and in full.

Which form of the pictures a server takes: asked once with two small grey frames.
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
from vigil.judge.bounded_http import BoundedClient
from vigil.judge.endpoint import Endpoint
from vigil.judge.error_pages import is_page, not_json
from vigil.judge.faults import REPLY_FAULTS, detail_of, endpoint_error, is_answer, unusable_answer
from vigil.judge.model_client import MediaForm, chat_messages
from vigil.manifest import ALIAS_PREFIX, Answers, Contract, answers_from_alias
from vigil.models import family_reading
from vigil.models.tokens import window_tokens
from vigil.questions import Task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model of the endpoint; `alias` spells its contract where the server tells it, as `vllm.sh` does.

    `root` is the folder of its weights as the server calls it, empty where it does not tell.
    `base` is the name of the model that it is an adapter of, where that one is served beside it.
    """

    name: str
    alias: str = ""
    base: str = ""
    root: str = ""
    max_model_len: int | None = None

    def describer(self, answers: Answers = "words") -> str:
        """The name of the model that descriptions are asked of; empty where this one's answers hold them.

        `answers` is what a manifest tells, for servers that tell no contract. An adapter of verdicts alone leaves
        words to its base; a model without a base says them itself.
        """
        trained_on = answers_from_alias(self.alias) if self.alias else answers
        return (self.base or self.name) if trained_on == "verdict" else ""


def open_openai_client(endpoint: Endpoint, *, timeout_s: float, retries: int) -> openai.AsyncOpenAI:
    """A client of the openai package that asks this endpoint and nobody else, and bears its every answer."""
    return openai.AsyncOpenAI(
        base_url=endpoint.url,
        # The package insists on a key; servers that want none ignore it.
        api_key=endpoint.api_key or "none",
        timeout=timeout_s,
        max_retries=retries,
        http_client=BoundedClient(endpoint, deadline_s=timeout_s),
    )


def open_http_client(endpoint: Endpoint, *, timeout_s: float) -> BoundedClient:
    """A plain HTTP client that shows the endpoint's key, for what lies beside its OpenAI interface."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    return BoundedClient(endpoint, deadline_s=timeout_s, headers=headers)


async def find_model(client: openai.AsyncOpenAI, endpoint: Endpoint) -> ServedModel:
    """The model to ask: the named one, or the only one there is. Raises EndpointError otherwise."""
    cards = await _cards(client, endpoint)
    plain = [card for card in cards if not card.id.startswith(ALIAS_PREFIX)]
    card = _choose(plain, endpoint)
    return _served(card, cards, await _told(endpoint, None))


async def list_models(
    client: openai.AsyncOpenAI, endpoint: Endpoint, http: BoundedClient | None = None
) -> list[ServedModel]:
    """Every model of the endpoint with its contract; raises EndpointError when it does not tell.

    `http` is a client that shows the key, where there is one already.
    """
    cards = await _cards(client, endpoint)
    contracts = await _told(endpoint, http)
    return [_served(card, cards, contracts) for card in cards if not card.id.startswith(ALIAS_PREFIX)]


async def _told(endpoint: Endpoint, http: BoundedClient | None) -> dict[str, Contract]:
    async with (
        nullcontext(http) if http else open_http_client(endpoint, timeout_s=declared_contracts.TIMEOUT_S) as client
    ):
        return await declared_contracts.fetch_declared_contracts(endpoint, client)


def _served(card: Any, cards: Sequence[Any], contracts: Mapping[str, Contract]) -> ServedModel:
    """A model with the contract that its server tells of it, else with the one that an older server lists beside it."""
    contract = contracts.get(card.id)
    alias = contract.alias if contract is not None else _alias_beside(card, cards)
    return ServedModel(
        name=card.id,
        alias=alias,
        base=_base_beside(card, cards),
        root=str(getattr(card, "root", None) or ""),
        max_model_len=getattr(card, "max_model_len", None),
    )


def _base_beside(card: Any, cards: Sequence[Any]) -> str:
    """The model that this one is an adapter of, as vLLM names it; empty where it is none, or its base is not served."""
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
    said = "it sent no list" if isinstance(error, AttributeError | TypeError) else detail_of(error)
    return EndpointError(f"{endpoint.url} does not list its models ({said}); is it an OpenAI-compatible address?")


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
    """Raises EndpointError where the names, each with its weights, are of several models, as base and LoRA are."""
    if len({root or name for name, root in roots.items()}) > 1:
        raise EndpointError(f"{endpoint.url} serves several models; name one with --model: {', '.join(roots)}")


def _alias_beside(card: Any, cards: Sequence[Any]) -> str:
    """The contract that is served from the same weights as this model."""
    root = getattr(card, "root", None)
    same = [c.id for c in cards if c.id.startswith(ALIAS_PREFIX) and getattr(c, "root", None) == root]
    return str(same[0]) if same else ""


def contract_differences(model: ServedModel, contract: Contract, *, strict: bool) -> list[str]:
    """What the server's contract says otherwise than ours; raises EndpointError when `strict`."""
    if model.alias:
        differences = contract.differences(model.alias)
    else:
        differences = ["the server does not tell its contract (vllm.sh would); it cannot be checked"]
    if strict and differences:
        raise EndpointError(f"model {model.name} was trained otherwise: {'; '.join(differences)}")
    return differences


def check_context_length(model: ServedModel, task: Task, sampling: FrameSampling, *, answer_tokens: int) -> None:
    """Raises EndpointError when a full window cannot fit the server's context, saying what would."""
    if model.max_model_len is None:
        return
    needed = window_tokens(family_reading(sampling), sampling, task.question) + answer_tokens
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
    """`video` where the server reads a frame list, else `images`.

    Raises EndpointError when it takes neither, EndpointUnreachable when it did not tell: a fault says nothing of the
    form.
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
