"""A client for the endpoint's short answers (models, metrics, tokens, probes) that no endless one can fill or hold.

What `vigil.judge.model_client` is for questions about windows: at most `MAX_BYTES` are read, and a request with its
whole answer has one deadline, however slowly its bytes drip. Both hold for the openai package, which is given this
client.
"""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx2
import openai

from vigil.judge.endpoint import Endpoint
from vigil.judge.error_pages import refusal
from vigil.judge.model_client import MAX_BYTES, HttpStatusError

if TYPE_CHECKING:
    Base = httpx2.AsyncClient
else:
    Base = openai.DefaultAioHttpClient


class UnusableAnswerError(httpx2.RemoteProtocolError):
    """Something is there, and what it answers is too long, compressed or no HTTP."""


class BoundedClient(Base):
    """An `httpx2.AsyncClient` whose answers are whole, at most `MAX_BYTES` long, and there within `deadline_s`.

    An error whose body is longer, or compressed, is still told by its status: its body is cut off, or empty. It asks
    this endpoint and nobody else: past `$HTTP_PROXY`, and not where it redirects to.
    """

    def __init__(self, endpoint: Endpoint, *, deadline_s: float, **options: Any) -> None:
        super().__init__(
            timeout=deadline_s,
            verify=endpoint.tls(),
            trust_env=False,
            follow_redirects=False,
            # A few compressed bytes can stand for any number of others.
            headers={"Accept-Encoding": "identity", **options.pop("headers", {})},
            **options,
        )
        self._deadline_s = deadline_s

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The whole answer; raises ReadTimeout after the deadline, UnusableAnswerError beyond `MAX_BYTES`."""
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await super().send(request, **{**options, "stream": True})
                content = await _content(answer, request)
        except aiohttp.ClientResponseError as error:
            # The transport lets through what it does not know.
            raise UnusableAnswerError(error.message, request=request) from error
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


def refused(answer: httpx2.Response) -> HttpStatusError:
    """An answer of an error as what the server said in it."""
    said = refusal(answer.status_code, answer.content).strip()
    return HttpStatusError(answer.status_code, said or answer.reason_phrase)


async def _content(answer: httpx2.Response, request: httpx2.Request) -> bytes:
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
        raise UnusableAnswerError(f"the answer is longer than {MAX_BYTES} bytes", request=request)
    if is_compressed:
        raise UnusableAnswerError("the answer is compressed, which nobody asked for", request=request)
    return b"".join(parts)


def _plain_headers(answer: httpx2.Response) -> list[tuple[str, str]]:
    """Those of the answer without what told how it was sent."""
    sent = {"transfer-encoding", "content-length", "content-encoding"}
    return [(name, value) for name, value in answer.headers.multi_items() if name.lower() not in sent]
