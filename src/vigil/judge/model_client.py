"""Sends chat completion requests over aiohttp and retries transient failures; builds their messages.

The openai package uses as much CPU for one request as reading a 640x360 camera for a second, on cores that it may
share with the server; aiohttp with orjson uses a fifth of that (docs/scoring.md). Redirects are not followed, since
frames must go to this endpoint only, and at most `MAX_BYTES` of a response are read. Messages have the order of
the training examples: frames first, then the question.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import aiohttp
import orjson
import pybase64
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from vigil.judge.endpoint import Endpoint
from vigil.judge.error_pages import not_json, refusal
from vigil.models import time_text

MAX_WAIT_S = 8.0
TRANSIENT_STATUSES = frozenset({408, 409, 425, 429})
NOT_IMPLEMENTED = 501


def is_transient(status: int) -> bool:
    """Whether an HTTP status is transient, so that the same request may succeed later."""
    return status in TRANSIENT_STATUSES or (status >= 500 and status != NOT_IMPLEMENTED)


MAX_BYTES = 4 * 1024**2
"""Limit of a response: longer ones come from no model server and would fill the memory until the timeout."""

IDLE_S = 3.0
"""vLLM closes idle connections after 5 s; ours are closed earlier, so that no request meets a closing one."""

Address: TypeAlias = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""One result of getaddrinfo."""

SSE_FIELDS = (b":", b"event:", b"id:", b"retry:", b"data:")
MAX_STRAY_BYTES = 4096
"""How much of a body that is not an event stream is kept for the error message."""

JSON_HEADERS = {"Content-Type": "application/json"}


class HttpStatusError(Exception):
    """The endpoint answered with an HTTP error status."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(f"Error code: {status} - {message}")


class ConnectionCounter:
    """Counts interruptions of the connection to one server, after which it may have been replaced.

    As long as one connection stays open, the server process is the same. A connection opened while no other is open
    may reach a different one; it is counted in `breaks`.
    """

    def __init__(self) -> None:
        self.breaks = 0
        self._sockets: list[socket.socket] = []

    def open(self, address: Address) -> socket.socket:
        """Creates the socket of a new connection (aiohttp's socket factory)."""
        family, kind, protocol, _, _ = address
        self._sockets = [each for each in self._sockets if each.fileno() >= 0]
        if not self._sockets:
            self.breaks += 1
        opened = socket.socket(family, kind, protocol)
        self._sockets.append(opened)
        return opened


class ModelClient:
    """Posts JSON to one endpoint, at most `1 + retries` times per request; callers set their own timeouts."""

    def __init__(
        self, endpoint: Endpoint, *, retries: int, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._url = f"{endpoint.url}/chat/completions"
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._connections = ConnectionCounter()
        self._session = aiohttp.ClientSession(
            headers=JSON_HEADERS | headers,
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_S, ssl=endpoint.tls(), socket_factory=self._connections.open
            ),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(1 + retries),
            retry=retry_if_exception(_is_transient),
            wait=_wait_s,
            sleep=sleep,
            reraise=True,
        )

    @property
    def breaks(self) -> int:
        """How often the connection was interrupted; after each time, the server may be a different one."""
        return self._connections.breaks

    async def close(self) -> None:
        """Closes all connections."""
        await self._session.close()

    async def chat(self, body: Mapping[str, Any]) -> Any:
        """Returns the response to a chat completion, as parsed JSON.

        Raises HttpStatusError, aiohttp.ClientError, or ValueError if the response is no JSON or too long.
        """
        return await self._retrying(self._ask, orjson.dumps(body))

    async def events(self, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """Yields the events of a streamed chat completion, as parsed JSON, until `[DONE]`.

        Close it (`contextlib.aclosing`) to stop generation early. Raises as `chat` does, possibly in the middle.
        """
        answer: aiohttp.ClientResponse = await self._retrying(self._post, orjson.dumps(body))
        async with answer:
            read, has_events, stray = 0, False, b""
            async for line in answer.content:
                read += len(line)
                _check_length(read)
                data = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                if data == b"[DONE]":
                    return
                if data:
                    has_events = True
                    yield _event(data)
                elif not has_events and not line.startswith(SSE_FIELDS):
                    stray = (stray + line)[:MAX_STRAY_BYTES]
        if not has_events and stray.strip():
            raise ValueError(not_json(stray.decode(errors="replace")))

    async def _ask(self, data: bytes) -> Any:
        async with await self._post(data) as answer:
            return _read_json(await _body(answer))

    async def _post(self, data: bytes) -> aiohttp.ClientResponse:
        """Returns the response with its body unread; raises HttpStatusError for an error status."""
        try:
            answer = await self._send(data)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # Usually an idle connection to a server that has since restarted: retry once on a new connection.
            self._connections.breaks += 1
            answer = await self._send(data)
        if answer.status < 300:
            return answer
        async with answer:
            message = refusal(answer.status, await _body(answer))
        if answer.status >= 500:
            self._connections.breaks += 1
        message = message or str(answer.headers.get("Location") or answer.reason)
        raise HttpStatusError(answer.status, message, _seconds(answer.headers.get("Retry-After")))

    async def _send(self, data: bytes) -> aiohttp.ClientResponse:
        return await self._session.post(self._url, data=data, allow_redirects=False)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    read = 0
    async for part in answer.content.iter_any():
        read += len(part)
        _check_length(read)
        parts.append(part)
    return b"".join(parts)


def _check_length(read: int) -> None:
    if read > MAX_BYTES:
        raise ValueError(f"the answer is longer than {MAX_BYTES} bytes")


def _read_json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(not_json(data.decode(errors="replace"))) from error


def _event(data: bytes) -> Any:
    event = orjson.loads(data)
    error = event.get("error") if isinstance(event, dict) else None
    if error:
        status = error.get("code") if isinstance(error, dict) else None
        status = status if isinstance(status, int) else 500
        raise HttpStatusError(status, refusal(status, data))
    return event


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, HttpStatusError):
        return is_transient(error.status)
    return isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError)


_backoff = wait_exponential_jitter(multiplier=0.5, max=MAX_WAIT_S, jitter=0.25)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    retry_after_s = error.retry_after_s if isinstance(error, HttpStatusError) else None
    return retry_after_s if retry_after_s is not None and retry_after_s <= MAX_WAIT_S else float(_backoff(state))


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


MediaForm: TypeAlias = Literal["video", "images"]
"""`video`: a frame list as one video, what the model was trained on. `images`: the fallback for other servers."""

Message: TypeAlias = dict[str, Any]

CONTINUED: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
"""Request fields that make vLLM continue the last (assistant) message."""


def chat_messages(jpegs: Sequence[bytes], question: str, *, media: MediaForm, fps: float) -> list[Message]:
    """Returns one user message with the JPEGs, `1/fps` seconds apart, followed by the question."""
    parts = [video_part(jpegs)] if media == "video" else image_parts(jpegs, fps=fps)
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]


def answer_begun(messages: Sequence[Message], beginning: str) -> list[Message]:
    """Returns the messages followed by the beginning of an answer; send them with `CONTINUED`."""
    return [*messages, {"role": "assistant", "content": beginning}]


def video_part(jpegs: Sequence[bytes]) -> dict[str, Any]:
    """Returns the frames as one `data:video/jpeg` part; their times follow from the server's media fps."""
    frames = ",".join(_base64(jpeg) for jpeg in jpegs)
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{frames}"}}


def image_parts(jpegs: Sequence[bytes], *, fps: float) -> list[dict[str, Any]]:
    """Returns the frames as single images, each preceded by its time, for servers without `video/jpeg`."""
    parts: list[dict[str, Any]] = []
    for index, jpeg in enumerate(jpegs):
        parts.append({"type": "text", "text": time_text(index / fps)})
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(jpeg)}"}})
    return parts


def _base64(data: bytes) -> str:
    return pybase64.b64encode_as_string(data)
