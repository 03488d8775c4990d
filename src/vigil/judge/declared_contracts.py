"""Reads the contracts that a server declares beside its list of models, at `GET /vigil.json` (served by `vllm.sh`)."""

import logging
from dataclasses import fields
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from vigil.config import from_mapping
from vigil.errors import ConfigError, EndpointBusy, UsageError
from vigil.judge.endpoint import Endpoint
from vigil.judge.endpoint_http import OK, EndpointHttp, UnusableAnswerError
from vigil.judge.faults import endpoint_error, status_of
from vigil.judge.model_client import is_transient
from vigil.manifest import MANIFEST_NAME, Contract

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
ATTEMPTS = 3
SERVER_ERROR = 500
"""The status that other kinds of server return for an unknown path, however often it is requested."""


async def fetch_declared_contracts(endpoint: Endpoint, http: EndpointHttp) -> dict[str, Contract]:
    """The contract of each model that declares one, by the model's name; empty if the server has no such page.

    Raises EndpointBusy if the server is temporarily unavailable.
    """
    retrying = AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS),
        retry=retry_if_exception_type(EndpointBusy),
        wait=wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.1),
        reraise=True,
    )
    try:
        return read_declared_contracts(await retrying(_page, http, f"{endpoint.root}/{MANIFEST_NAME}"))
    except EndpointBusy as error:
        if error.__cause__ is not None and status_of(error.__cause__) == SERVER_ERROR:
            return {}
        raise


def read_declared_contracts(page: bytes) -> dict[str, Contract]:
    """The contracts on a server's page; unreadable ones are left out, with a warning."""
    try:
        models = orjson.loads(page)["models"]
        declared = {str(name): entry["contract"] for name, entry in models.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
    read = {name: _contract(name, data) for name, data in declared.items()}
    return {name: contract for name, contract in read.items() if contract is not None}


def _contract(name: str, data: Any) -> Contract | None:
    """A contract. Unknown fields are ignored: a later version of Vigil may have written it."""
    field_names = {field.name for field in fields(Contract)}
    try:
        return from_mapping(
            Contract, {key: value for key, value in data.items() if key in field_names}, where="the server"
        )
    except (ConfigError, UsageError, AttributeError) as error:
        log.warning("model %s: the contract that its server declares cannot be read (%s)", name, error)
        return None


async def _page(http: EndpointHttp, url: str) -> bytes:
    try:
        answer = await http.get(url)
    except UnusableAnswerError:
        return b""
    except (aiohttp.ClientError, TimeoutError) as error:
        raise endpoint_error(error, url, has_answered=True) from error
    if is_transient(answer.status):
        raise EndpointBusy(f"{url} answers {answer.status}: the server behind it is not up") from answer.error()
    return answer.body if answer.status == OK else b""
