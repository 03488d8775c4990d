"""An OpenAI-compatible server that says what a test tells it to: a real HTTP server, on a real port, in a thread.

    with ScriptedServer(models=["tiny"], api_key="secret") as server:
        server.queue(chat("是的，有人打架。"), Reply(status=503), stream("是的", "，", "有人。"))
        ...                       # point a client at server.url
        assert server.requests[0].body["model"] == "tiny"

Chat requests are answered from the queue in order, then by `server.default` (a Reply, or a function of the
Request). `/v1/models` lists the models; any other path is looked up in `server.routes`.
"""

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from waiting import HANG_S

CHAT_PATH = "/v1/chat/completions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer: a status and a body, or server-sent events; `hang_up` closes the connection instead.

    `delay_s` passes before the first byte and `event_delay_s` before each event; `held_back` sends all events at their
    end, as a proxy that buffers does. A hang-up with events
    breaks off after the last of them, without `[DONE]`; one with a `body` breaks off in its middle.
    """

    status: int = 200
    body: Any = None
    events: tuple[Any, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    event_delay_s: float = 0.0
    hang_up: bool = False
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent: header names in lower case, `body` the parsed JSON or None."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def text(self) -> str:
        """All text parts of the messages, one a line."""
        return "\n".join(part["text"] for part in self.parts if part.get("type") == "text")

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The content parts of all messages; plain text counts as one part."""
        contents = [message["content"] for message in (self.body or {}).get("messages", [])]
        return [
            part
            for content in contents
            for part in ([{"type": "text", "text": content}] if isinstance(content, str) else content)
        ]


Answer = Reply | Callable[[Request], Reply]


def chat(text: str, *, finish: str = "stop", logprobs: Mapping[str, float] | None = None, **reply: Any) -> Reply:
    """A whole chat completion; `logprobs` are the alternatives of its first token, the first one chosen."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish,
        "logprobs": first_token_logprobs(logprobs) if logprobs else None,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    body = {"id": "chat-1", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice]}
    return Reply(body=body | {"usage": usage}, **reply)


def stream(*pieces: str, finish: str = "stop", logprobs: Mapping[str, float] | None = None, **reply: Any) -> Reply:
    """A streamed chat completion, one event a piece; `logprobs` belong to the first piece."""
    events = [_chunk({"content": piece}) for piece in pieces]
    if events and logprobs:
        events[0]["choices"][0]["logprobs"] = first_token_logprobs(logprobs)
    return Reply(events=(_chunk({"role": "assistant", "content": ""}), *events, _chunk({}, finish)), **reply)


def first_token_logprobs(logprobs: Mapping[str, float]) -> dict[str, Any]:
    """The `logprobs` object of a choice whose first token has these alternatives."""
    tokens = [{"token": token, "logprob": value, "bytes": list(token.encode())} for token, value in logprobs.items()]
    return {"content": [{**tokens[0], "top_logprobs": tokens}]}


def error(status: int, message: str, **reply: Any) -> Reply:
    """An error in the form that OpenAI and vLLM give it."""
    body = {"error": {"message": message, "type": "BadRequestError", "param": None, "code": status}}
    return Reply(status=status, body=body, **reply)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    head = {"id": "chat-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    return head | {"choices": [choice]}


class ScriptedServer:
    """Serves scripted answers on a free port (or the one named) of 127.0.0.1 while its `with` block lasts."""

    def __init__(
        self,
        *,
        models: Iterable[str] = ("scripted",),
        api_key: str | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.models = list(models)
        self.api_key = api_key
        self.default: Answer = error(500, "the script has no more answers")
        self.routes: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.max_in_flight = 0
        self.ended_early = 0
        self.let_pass: Callable[[float], object] = self._wait
        self._queue: deque[Answer] = deque()
        self._lock = threading.Lock()
        self._heard = threading.Condition(self._lock)
        self._left = threading.Condition()
        self._in_flight = 0
        self._closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(self))
        self._http.daemon_threads = True
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            # The handshake is for the thread of the connection: one that fails there leaves the server running.
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The address that clients are given, `/v1` included."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat requests so far."""
        return [request for request in self.requests if request.path == CHAT_PATH]

    def wait_for_chats(self, count: int, *, within_s: float = HANG_S) -> list[Request]:
        """The chat requests, once there are `count`: a page may show what is asked before the server hears it."""
        with self._heard:
            if not self._heard.wait_for(lambda: len(self.chats) >= count, within_s):
                raise AssertionError(f"{len(self.chats)} chats came in {within_s:.0f} s, {count} were expected")
            return self.chats

    def wait_until_quiet(self, *, quiet_s: float = 2.0, within_s: float = HANG_S) -> int:
        """How many chats came, once none has come for `quiet_s`: whoever asks on and on is found out."""
        until_s, heard = time.monotonic() + within_s, -1
        with self._heard:
            while heard != len(self.chats):
                heard = len(self.chats)
                if time.monotonic() > until_s:
                    raise AssertionError(f"the server is still asked after {within_s:.0f} s, {heard} chats so far")
                self._heard.wait_for(partial(self._was_asked_since, heard), quiet_s)
        return heard

    def _was_asked_since(self, heard: int) -> bool:
        return len(self.chats) > heard

    def forget(self) -> None:
        """Forgets what was asked so far."""
        with self._lock:
            self.requests.clear()

    def queue(self, *answers: Answer) -> None:
        """Appends answers to the script."""
        with self._lock:
            self._queue.extend(answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Reply:
        """Records a request and gives its reply."""
        with self._lock:
            self.requests.append(request)
            self._heard.notify_all()
            chosen = self._choose(request)
        return chosen if isinstance(chosen, Reply) else chosen(request)

    def _choose(self, request: Request) -> Answer:
        if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
            return error(401, "Unauthorized")
        if request.path in self.routes:
            return self.routes[request.path]
        if request.path == "/v1/models":
            return Reply(body={"object": "list", "data": [_model(name) for name in self.models]})
        if request.path != CHAT_PATH:
            return error(404, f"no route {request.path}")
        return self._queue.popleft() if self._queue else self.default

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return self._in_flight

    def began(self) -> None:
        """Counts a request in flight."""
        with self._lock:
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)

    def ended(self) -> None:
        """Counts it out again."""
        with self._lock:
            self._in_flight -= 1

    def left(self) -> None:
        """Counts a request that its client did not wait for."""
        with self._left:
            self.ended_early += 1
            self._left.notify_all()

    def wait_until_left(self, count: int, *, within_s: float = HANG_S) -> int:
        """How many requests ended early, once there are `count`: that a client has left is felt at the next write."""
        with self._left:
            self._left.wait_for(lambda: self.ended_early >= count, within_s)
            return self.ended_early

    @property
    def is_closing(self) -> bool:
        """Whether the block is being left."""
        return self._closing.is_set()

    def wait(self, delay_s: float) -> None:
        """Lets time pass, unless the server is being closed; `let_pass` may move a client's clock instead."""
        if delay_s:
            self.let_pass(delay_s)

    def _wait(self, delay_s: float) -> None:
        self._closing.wait(delay_s)


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "test",
        "max_model_len": 4096,
    }


def _handler_for(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_ScriptedHandler):
        script = server

    return Handler


class _ScriptedHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ScriptedServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """A test's output stays clean."""

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.script.is_closing:
            # A kept connection must not outlive the server, or it would never seem to be gone.
            self.close_connection = True
            return
        request = Request(self.command, path, headers, json.loads(raw) if raw else None)
        self.script.began()
        is_counted = True
        try:
            reply = self.script.answer(request)
            self.script.wait(reply.delay_s)
            if reply.events is None:
                # Counted out before its client has the answer, and may ask again.
                self.script.ended()
                is_counted = False
            self._send(reply)
        except OSError:
            # The client went away (a deadline, a cancelled stream): what a test of that case wants.
            self.close_connection = True
            self.script.left()
        finally:
            if is_counted:
                self.script.ended()

    def _send(self, reply: Reply) -> None:
        if reply.hang_up:
            self.close_connection = True
        if reply.events is not None:
            self._send_events(reply)
        elif reply.body is not None or not reply.hang_up:
            self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if reply.hang_up else body)

    def _send_events(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.held_back:
            self.script.wait(reply.event_delay_s * len(reply.events or ()))
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for event in reply.events or ():
            self.script.wait(0.0 if reply.held_back else reply.event_delay_s)
            self._send_event(json.dumps(event))
        if not reply.hang_up:
            self._send_event("[DONE]")

    def _send_event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()
