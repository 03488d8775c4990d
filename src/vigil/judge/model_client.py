"""The road of every question about a window: ready bytes over aiohttp, asked again where a repetition can cure it.

The openai package spends as much CPU on one such request as reading a 640x360 camera for a second, on the
cores that the server shares here; aiohttp with orjson spends a fifth of that (docs/scoring.md). Redirects are
not followed, since the pictures are for this endpoint only, and no answer is read beyond `MAX_BYTES`.

The request's words and pictures, laid out as the training examples are: pictures first, then the question.
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
PASSING_STATUSES = frozenset({408, 409, 425, 429})
NOT_IMPLEMENTED = 501


def may_pass(status: int) -> bool:
    """Whether a refusal says nothing of what the server can do: the same request may not meet it again."""
    return status in PASSING_STATUSES or (status >= 500 and status != NOT_IMPLEMENTED)


MAX_BYTES = 4 * 1024**2
"""No answer is that long; what sends more is no such endpoint, and would fill the memory until the deadline."""

IDLE_S = 3.0
"""vLLM closes idle connections after 5 s; ours go before, so that no question meets a closing one."""

Address: TypeAlias = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
"""One answer of getaddrinfo."""

SSE_FIELDS = (b":", b"event:", b"id:", b"retry:", b"data:")
MOST_STRAY_BYTES = 4096
"""What is kept of a body that is no stream of events, to say what it is."""

JSON_HEADERS = {"Content-Type": "application/json"}


class HttpStatusError(Exception):
    """The endpoint answered with an HTTP status other than success."""

    def __init__(self, status: int, message: str, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(f"Error code: {status} - {message}")


class Line:
    """The connections to one server, watched for the moments after which another may stand at their end.

    While one connection stays open the process that answers is the same, so a further one beside it tells nothing;
    one that is opened where none was left may reach another server.
    """

    def __init__(self) -> None:
        self.breaks = 0
        self._sockets: list[socket.socket] = []

    def open(self, address: Address) -> socket.socket:
        """A new socket for a connection."""
        family, kind, protocol, _, _ = address
        self._sockets = [each for each in self._sockets if each.fileno() >= 0]
        if not self._sockets:
            self.breaks += 1
        opened = socket.socket(family, kind, protocol)
        self._sockets.append(opened)
        return opened


class ModelClient:
    """Posts JSON to one endpoint, at most `1 + retries` times a question; whoever asks bounds the time."""

    def __init__(
        self, endpoint: Endpoint, *, retries: int, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._url = f"{endpoint.url}/chat/completions"
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._line = Line()
        self._session = aiohttp.ClientSession(
            headers=JSON_HEADERS | headers,
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=IDLE_S, ssl=endpoint.tls(), socket_factory=self._line.open
            ),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        self._retrying = AsyncRetrying(
            stop=stop_after_attempt(1 + retries),
            retry=retry_if_exception(_may_pass),
            wait=_wait_s,
            sleep=sleep,
            reraise=True,
        )

    @property
    def breaks(self) -> int:
        """How often the line to the server has broken: after a break there may be another server at its end."""
        return self._line.breaks

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._session.close()

    async def chat(self, body: Mapping[str, Any]) -> Any:
        """The endpoint's answer to a chat completion, as plain data.

        Raises HttpStatusError, aiohttp.ClientError, and ValueError when the answer is no JSON or too long.
        """
        return await self._retrying(self._ask, orjson.dumps(body))

    async def events(self, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """The events of a streamed chat completion, each as plain data, until the server says that it is done.

        Close it (`contextlib.aclosing`) to end the server's work early. Raises as `chat` does, also in the middle.
        """
        answer: aiohttp.ClientResponse = await self._retrying(self._post, orjson.dumps(body))
        async with answer:
            read, heard, stray = 0, False, b""
            async for line in answer.content:
                read += len(line)
                _check_length(read)
                data = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                if data == b"[DONE]":
                    return
                if data:
                    heard = True
                    yield _event(data)
                elif not heard and not line.startswith(SSE_FIELDS):
                    stray = (stray + line)[:MOST_STRAY_BYTES]
        if not heard and stray.strip():
            raise ValueError(not_json(stray.decode(errors="replace")))

    async def _ask(self, data: bytes) -> Any:
        async with await self._post(data) as answer:
            return _read_json(await _body(answer))

    async def _post(self, data: bytes) -> aiohttp.ClientResponse:
        """The answer, its body unread."""
        try:
            answer = await self._send(data)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # As a rule an idle connection to a server that has been restarted since; a new one tells.
            self._line.breaks += 1
            answer = await self._send(data)
        if answer.status < 300:
            return answer
        async with answer:
            said = refusal(answer.status, await _body(answer))
        if answer.status >= 500:
            self._line.breaks += 1
        message = said or str(answer.headers.get("Location") or answer.reason)
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


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, HttpStatusError):
        return may_pass(error.status)
    return isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError)


_backoff = wait_exponential_jitter(multiplier=0.5, max=MAX_WAIT_S, jitter=0.25)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, HttpStatusError) else None
    return asked_s if asked_s is not None and asked_s <= MAX_WAIT_S else float(_backoff(state))


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


MediaForm: TypeAlias = Literal["video", "images"]
"""`video`: a frame list as one video, what the model was trained on. `images`: the fallback for other servers."""

Message: TypeAlias = dict[str, Any]

CONTINUED: dict[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}
"""The request's fields that make the server go on with an answer that has begun (vLLM)."""


def chat_messages(jpegs: Sequence[bytes], question: str, *, media: MediaForm, fps: float) -> list[Message]:
    """One user turn that shows the JPEGs, `1/fps` seconds apart, and asks the question."""
    parts = [video_part(jpegs)] if media == "video" else image_parts(jpegs, fps=fps)
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]


def answer_begun(asked: Sequence[Message], beginning: str) -> list[Message]:
    """The messages with an answer that begins so; send it with `CONTINUED`."""
    return [*asked, {"role": "assistant", "content": beginning}]


def video_part(jpegs: Sequence[bytes]) -> dict[str, Any]:
    """The frames as one `data:video/jpeg` item; the server's media fps gives them their times."""
    frames = ",".join(_base64(jpeg) for jpeg in jpegs)
    return {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{frames}"}}


def image_parts(jpegs: Sequence[bytes], *, fps: float) -> list[dict[str, Any]]:
    """The frames as single images, each behind its time, as a server without `video/jpeg` can read them."""
    parts: list[dict[str, Any]] = []
    for index, jpeg in enumerate(jpegs):
        parts.append({"type": "text", "text": time_text(index / fps)})
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_base64(jpeg)}"}})
    return parts


def _base64(data: bytes) -> str:
    return pybase64.b64encode_as_string(data)
