"""The transport of the openai package, bounded in size and time like Vigil's own requests (`judge.endpoint_http`).

The package takes an `httpx2.AsyncClient`; this one sends over aiohttp, as everything else does.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import openai

from vigil.judge.endpoint import Endpoint
from vigil.judge.endpoint_http import UnusableAnswerError
from vigil.judge.model_client import MAX_BYTES

if TYPE_CHECKING:
    Base = httpx2.AsyncClient
else:
    Base = openai.DefaultAioHttpClient


class BoundedClient(Base):
    """An `httpx2.AsyncClient` whose answers are complete, at most `MAX_BYTES` long and received within `deadline_s`.

    An error response keeps its status even if its body is too long (then truncated) or compressed (then empty). The
    client talks to this endpoint only: it ignores `$HTTP_PROXY` and does not follow redirects.
    """

    def __init__(self, endpoint: Endpoint, *, deadline_s: float, **options: Any) -> None:
        super().__init__(
            timeout=deadline_s,
            verify=endpoint.tls(),
            trust_env=False,
            follow_redirects=False,
            # A few compressed bytes can expand to any number of bytes.
            headers={"Accept-Encoding": "identity", **options.pop("headers", {})},
            **options,
        )
        self._deadline_s = deadline_s

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The complete answer; raises ReadTimeout after the deadline, UnusableAnswerError beyond `MAX_BYTES`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await super().send(request, **{**options, "stream": True})
                content = await _content(answer)
        except aiohttp.ClientResponseError as error:
            # httpx2's transport does not translate every aiohttp error.
            raise UnusableAnswerError(error.message) from error
        except aiohttp.ClientError as error:
            raise httpx2.ReadError(str(error), request=request) from error
        except TimeoutError as error:
            raise httpx2.ReadTimeout(f"no whole answer in {self._deadline_s:g} s", request=request) from error
        return httpx2.Response(
            answer.status_code,
            headers=_plain_headers(answer),
            content=content,
            request=request,
            extensions=answer.extensions,
            history=answer.history,
        )


async def _content(answer: httpx2.Response) -> bytes:
    parts: list[bytes] = []
    read = 0
    try:
        async for part in answer.aiter_raw():
            parts.append(part)
            read += len(part)
            if read > MAX_BYTES:
                break
    finally:
        await answer.aclose()
    is_compressed = answer.headers.get("Content-Encoding", "identity") != "identity"
    if answer.is_error:
        return b"" if is_compressed else b"".join(parts)[:MAX_BYTES]
    if read > MAX_BYTES:
        raise UnusableAnswerError(f"the answer is longer than {MAX_BYTES} bytes")
    if is_compressed:
        raise UnusableAnswerError("the answer is compressed, although the request did not allow that")
    return b"".join(parts)


def _plain_headers(answer: httpx2.Response) -> list[tuple[str, str]]:
    """The answer's headers without those that describe its transfer."""
    sent = {"transfer-encoding", "content-length", "content-encoding"}
    return [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in sent]
