"""The road of the one-token question: ready bytes over aiohttp, asked again where a repetition can cure it.

The openai package spends four times the CPU on such a request (docs/scoring.md), on cores that the server
may share. Streams, where a person waits for words, stay with the package.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from vigil.judge.endpoint import Endpoint

MAX_WAIT_S = 8.0
PASSING_STATUSES = frozenset({408, 409, 429})
"""Refusals that the same request may not meet again; so are all from 500 on."""

JSON_HEADERS = {"Content-Type": "application/json"}


class RefusedError(Exception):
    """The endpoint answered with an HTTP status other than success."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(f"Error code: {status} - {message}")


class Transport:
    """Posts JSON to one endpoint, at most `1 + retries` times a question; whoever asks bounds the time."""

    def __init__(self, endpoint: Endpoint, *, retries: int) -> None:
        self._url = f"{endpoint.url}/chat/completions"
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._session = aiohttp.ClientSession(
            headers=JSON_HEADERS | headers,
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(1 + retries),
            retry=retry_if_exception(_may_pass),
            wait=_wait_s,
            reraise=True,
        )

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._session.close()

    async def chat(self, body: Mapping[str, Any]) -> Any:
        """The endpoint's answer to a chat completion, as plain data.

        Raises RefusedError, aiohttp.ClientError, and ValueError when the answer is no JSON.
        """
        data = orjson.dumps(body)
        return await self._retrying(self._post, data)

    async def _post(self, data: bytes) -> Any:
        async with self._session.post(self._url, data=data) as answer:
            content = await answer.read()
            if answer.status >= 300:
                message = content.decode(errors="replace") or str(answer.reason)
                raise RefusedError(answer.status, message, _seconds(answer.headers.get("Retry-After")))
        return orjson.loads(content)


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, RefusedError):
        return error.status in PASSING_STATUSES or error.status >= 500
    return isinstance(error, aiohttp.ClientConnectionError)


_backoff = wait_exponential_jitter(multiplier=0.5, max=MAX_WAIT_S, jitter=0.25)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, RefusedError) else None
    return asked_s if asked_s is not None and asked_s <= MAX_WAIT_S else float(_backoff(state))


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
