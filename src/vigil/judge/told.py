"""The contracts that a server tells beside its list of models: `GET /vigil.json`, which `vllm.sh` answers."""

import logging
from dataclasses import fields
from typing import Any

import httpx2
import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from vigil.config import build
from vigil.errors import ConfigError, EndpointAway, UsageError
from vigil.judge.bounded import BoundedClient, UnusableAnswerError
from vigil.judge.endpoint import Endpoint
from vigil.manifest import MANIFEST_NAME, Contract

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
ATTEMPTS = 3
AWAY = frozenset({httpx2.codes.BAD_GATEWAY, httpx2.codes.SERVICE_UNAVAILABLE, httpx2.codes.GATEWAY_TIMEOUT})
"""What a proxy says of a server that is being started; any other refusal says that the server tells no contract."""


async def told_contracts(endpoint: Endpoint, http: BoundedClient) -> dict[str, Contract]:
    """The contract of each model that tells one, by the model's name; empty where the server has no such page.

    `http` is a client that shows the key. Raises EndpointAway.
    """
    retrying = AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS),
        retry=retry_if_exception_type(EndpointAway),
        wait=wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.1),
        reraise=True,
    )
    return read_contracts(await retrying(_page, http, f"{endpoint.root}/{MANIFEST_NAME}"))


def read_contracts(page: bytes) -> dict[str, Contract]:
    """The contracts on a server's page; what cannot be read is left out, with a warning where it is meant to be one."""
    try:
        models = orjson.loads(page)["models"]
        held = {str(name): entry["contract"] for name, entry in models.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
    read = {name: _contract(name, data) for name, data in held.items()}
    return {name: contract for name, contract in read.items() if contract is not None}


def _contract(name: str, data: Any) -> Contract | None:
    """A contract, also of a later version of Vigil, which may hold more than ours."""
    known = {field.name for field in fields(Contract)}
    try:
        return build(Contract, {key: value for key, value in data.items() if key in known}, where="the server")
    except (ConfigError, UsageError, AttributeError) as error:
        logger.warning("model %s: the contract that its server tells cannot be read (%s)", name, error)
        return None


async def _page(http: BoundedClient, url: str) -> bytes:
    try:
        answer = await http.get(url)
    except UnusableAnswerError:
        return b""
    except httpx2.HTTPError as error:
        raise EndpointAway(f"{url} cannot be read: {error or type(error).__name__}") from error
    if answer.status_code in AWAY:
        raise EndpointAway(f"{url} answers {answer.status_code}: the server behind it is not up")
    return answer.content if answer.status_code == httpx2.codes.OK else b""
