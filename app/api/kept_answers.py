"""Answers that follow from the store alone, kept until something is committed to it, and told apart by their ETag.

Most reads are polls: the same question again and again. One that was answered already is answered again from memory,
without a thread, a transaction or a check of what was checked before, and with 304 to a client that has it. What a
caller may see depends on role and scopes alone, so those belong to the question, and a refusal is never kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..allowed_routes import API, RouteList
from ..principal import Principal

StateVersion: TypeAlias = object
"""What an answer was made of; two that are equal gave the same answer."""

_Question: TypeAlias = tuple[str, bytes, str, tuple[str, ...]]

KEPT = RouteList.of(
    tuple(
        f"{API}{route}"
        for route in (
            "/events",
            "/events/{word}",
            "/events/{word}/deliveries",
            "/events/{word}/marks",
            "/events/{word}/probability",
            "/events/{word}/verdicts",
            "/missed",
            "/observations",
        )
    )
)
"""The routes whose answers follow from the store and the rules of the watch; `{word}` is also `count` and `choices`."""

OF_THE_CLOCK = (b"since=", b"until=")
"""Ages such as 2h mean another time at each request."""

MOST_BYTES = 16 * 1024 * 1024
LARGEST_BYTES = 512 * 1024
OVERHEAD_BYTES = 2048
"""Of what stands around a body: headers, keys, the objects themselves."""

LONGEST_QUERY_BYTES = 2048
CACHE_CONTROL = (b"cache-control", b"private, no-cache")


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was sent, its ETag, and the version of what it was made of."""

    version: StateVersion
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    etag: bytes


class KeptAnswers:
    """ASGI application: answers from memory what is asked again, and lets `app` answer everything else.

    `version` is asked at every request and must return at once; None means that nothing is known, and nothing is kept.
    All of it runs in the event loop's thread.
    """

    def __init__(
        self, app: ASGIApp, version: Callable[[], StateVersion | None], *, most_bytes: int = MOST_BYTES
    ) -> None:
        self._app = app
        self.routes = getattr(app, "routes", [])
        """Those of the application, where a `Mount` looks for them."""
        self._version = version
        self._most_bytes = most_bytes
        self._bytes = 0
        self._answers: OrderedDict[_Question, KeptAnswer] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        question = _question_of(scope)
        if question is None:
            await self._app(scope, receive, send)
            return
        # Asked before the store is read: what is committed meanwhile makes the answer outdated, never wrong.
        version, kept = self._version(), self._answers.get(question)
        if kept is not None and version is not None and kept.version == version:
            self._answers.move_to_end(question)
            await _send_answer(scope, send, kept)
            return
        recorder = _Recorder(send)
        await self._app(scope, receive, recorder.take)
        answer = recorder.answer(version)
        if answer is None:
            return
        self._keep(question, answer)
        await _send_answer(scope, send, answer)

    def _keep(self, question: _Question, answer: KeptAnswer) -> None:
        before = self._answers.pop(question, None)
        self._bytes -= 0 if before is None else _size_bytes(question, before)
        if answer.version is None or len(answer.body) > LARGEST_BYTES:
            return
        self._answers[question] = answer
        self._bytes += _size_bytes(question, answer)
        while self._bytes > self._most_bytes:
            self._bytes -= _size_bytes(*self._answers.popitem(last=False))


class _Recorder:
    """Holds back a whole answer with status 200; passes on every other one as it comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body: bytes | None = None

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            self._start = message
            return
        is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._start is not None and is_whole:
            self._body = message.get("body", b"")
            return
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        await self._send(message)

    def answer(self, version: StateVersion | None) -> KeptAnswer | None:
        """The answer that was held back, if there is one."""
        if self._start is None or self._body is None:
            return None
        etag = b'"' + blake2b(self._body, digest_size=16).hexdigest().encode() + b'"'
        headers = (*self._start["headers"], CACHE_CONTROL, (b"etag", etag))
        return KeptAnswer(version, headers, self._body, etag)


def _size_bytes(question: _Question, answer: KeptAnswer) -> int:
    path, query, *_ = question
    return len(answer.body) + len(path) + len(query) + OVERHEAD_BYTES


def _question_of(scope: Scope) -> _Question | None:
    """What is asked and by whom, as far as the answer depends on it; None if the answer must not be kept."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] not in KEPT:
        return None
    query: bytes = scope["query_string"]
    caller: Principal | None = scope.get("vigil_principal")
    if (
        caller is None
        or len(query) > LONGEST_QUERY_BYTES
        or any(word in unquote_to_bytes(query) for word in OF_THE_CLOCK)
    ):
        return None
    return scope["path"], query, caller.role.value, caller.scopes


async def _send_answer(scope: Scope, send: Send, answer: KeptAnswer) -> None:
    if _has_it(scope["headers"], answer.etag):
        headers = [CACHE_CONTROL, (b"etag", answer.etag)]
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})


def _has_it(headers: Sequence[tuple[bytes, bytes]], etag: bytes) -> bool:
    """Whether the client says that it has this answer (RFC 9110, 13.1.2)."""
    told = [value for name, value in headers if name == b"if-none-match"]
    known = {word.strip().removeprefix(b"W/") for value in told for word in value.split(b",")}
    return etag in known or b"*" in known
