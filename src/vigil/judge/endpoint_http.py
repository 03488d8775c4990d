"""Sends short requests (contracts, tokens, metrics) to an endpoint over aiohttp, bounded in size and time.

Requests about windows are sent by `vigil.judge.model_client`, which uses aiohttp too. At most `MAX_BYTES` of an answer
are read, and one deadline holds for a request with its whole answer, however slowly its bytes arrive.
"""

import asyncio
import io
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import orjson

from vigil.judge.endpoint import Endpoint
from vigil.judge.error_pages import refusal
from vigil.judge.model_client import JSON_HEADERS, MAX_BYTES, HttpStatusError

OK = 200
FIRST_ERROR = 400


class UnusableAnswerError(ValueError):
    """The server answered, but the answer is too long, compressed or not HTTP."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer: its status, the phrase beside it, and the body."""

    status: int
    reason: str
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return OK <= self.status < OK + 100

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body, parsed; raises ValueError if it is no JSON."""
        return orjson.loads(self.body)

    def error(self) -> HttpStatusError:
        """The error for an error status, with the server's own message."""
        message = refusal(self.status, self.body).strip()
        return HttpStatusError(self.status, message or self.reason)


class EndpointHttp:
    """Sends the endpoint's key, contacts no other host, and takes whole answers of at most `MAX_BYTES`.

    An error response keeps its status even if its body is too long (then truncated) or compressed (then empty). Proxies
    (`$HTTP_PROXY`) are ignored and redirects are not followed.
    """

    def __init__(self, endpoint: Endpoint, *, deadline_s: float) -> None:
        key = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._deadline_s = deadline_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=endpoint.tls()),
            # A few compressed bytes can expand to any number of bytes.
            headers={"Accept-Encoding": "identity"} | key,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def get(self, url: str) -> HttpAnswer:
        """The answer to a GET; raises what `post` raises."""
        return await self._whole("GET", url, None)

    async def post(self, url: str, body: Any) -> HttpAnswer:
        """The answer to a POST of JSON.

        Raises aiohttp.ClientError without an answer, TimeoutError after the deadline, and UnusableAnswerError beyond
        `MAX_BYTES` or for an answer that is compressed or not HTTP.
        """
        return await self._whole("POST", url, orjson.dumps(body))

    async def _whole(self, method: str, url: str, data: bytes | None) -> HttpAnswer:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._ask(method, url, data)
        except TimeoutError as error:
            raise TimeoutError(f"no whole answer in {self._deadline_s:g} s") from error
        except aiohttp.ClientResponseError as error:
            raise UnusableAnswerError(error.message) from error

    async def _ask(self, method: str, url: str, data: bytes | None) -> HttpAnswer:
        headers = {} if data is None else JSON_HEADERS
        # As a stream of bytes: aiohttp warns of bodies above 1 MiB, such as six frames.
        sent = None if data is None else aiohttp.BytesIOPayload(io.BytesIO(data))
        async with self._session.request(method, url, data=sent, headers=headers, allow_redirects=False) as answer:
            body = await _body(answer)
            return HttpAnswer(answer.status, answer.reason or "", body)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    read = 0
    async for part in answer.content.iter_any():
        parts.append(part)
        read += len(part)
        if read > MAX_BYTES:
            break
    is_compressed = answer.headers.get("Content-Encoding", "identity") != "identity"
    if answer.status >= FIRST_ERROR:
        return b"" if is_compressed else b"".join(parts)[:MAX_BYTES]
    if read > MAX_BYTES:
        raise UnusableAnswerError(f"the answer is longer than {MAX_BYTES} bytes")
    if is_compressed:
        raise UnusableAnswerError("the answer is compressed, although the request did not allow that")
    return b"".join(parts)
