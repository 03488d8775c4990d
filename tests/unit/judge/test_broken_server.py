"""What comes over the wire when a server is broken: the deadline holds at every stage, and nothing is `normal`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import openai
import orjson
import pytest

from judging import SAMPLING, TASK, WORDS, yes
from scripted_server import Reply, ScriptedServer, stream
from vigil.judge import Endpoint, Judge
from vigil.judge.model_client import MAX_BYTES, ModelClient
from vigil.verdict import Cause, Verdict
from waiting import HANG_S

DEADLINE_S = 0.2
GOOD = orjson.dumps(yes().body)
EVENTS = b"".join(
    b"data: " + orjson.dumps(event) + b"\n\n" for event in stream("Yes", logprobs={"token_id:7": -0.1}).events or ()
)

Send = Callable[[asyncio.StreamWriter], Awaitable[None]]
Ask = Callable[[Judge, list[bytes]], Awaitable[Verdict]]

WAYS = pytest.mark.parametrize("ask", [Judge.verdict, Judge.describe], ids=["verdict", "describe"])


def head(status: str = "200 OK", *fields: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", "Content-Type: text/event-stream", *fields, "", "")).encode()


def whole(status: str, body: bytes, *fields: str) -> bytes:
    return head(status, f"Content-Length: {len(body)}", *fields) + body


def nothing() -> Send:
    return sending(b"", stay=True)


def sending(data: bytes, *, stay: bool = False) -> Send:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if stay:
            await asyncio.Event().wait()

    return send


def dripping(data: bytes, after: bytes = b"") -> Send:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        for byte in data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    return send


def endless(first: bytes, piece: bytes) -> Send:
    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()

    return send


def judge_of(url: str, *, retries: int = 0, deadline_s: float = HANG_S, transport: ModelClient | None = None) -> Judge:
    """A judge that has asked this server nothing yet."""
    client = openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0)
    transport = transport or ModelClient(Endpoint(url=url), retries=retries)
    return Judge(
        client, transport, model="m", label_tokens=WORDS, question=TASK, sampling=SAMPLING, deadline_s=deadline_s
    )


def judged_by(send: Send, ask: Ask, jpegs: list[bytes], *, retries: int = 0, deadline_s: float = HANG_S) -> Verdict:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        length = int(asked.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        try:
            await send(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> Verdict:
        tasks: list[asyncio.Task[None]] = []
        server = await asyncio.start_server(
            lambda reader, writer: tasks.append(asyncio.create_task(serve(reader, writer))), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        async with server, judge_of(f"http://127.0.0.1:{port}/v1", retries=retries, deadline_s=deadline_s) as judge:
            verdict = await ask(judge, jpegs)
            # What is still sent when the verdict is there was not waited for.
            assert verdict.cause is not Cause.TIMEOUT or not all(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return verdict

    return asyncio.run(run())


@WAYS
@pytest.mark.parametrize(
    "send",
    [
        nothing(),
        dripping(whole("200 OK", GOOD)),
        sending(head("200 OK", f"Content-Length: {len(GOOD)}") + GOOD[:50], stay=True),
        dripping(GOOD, after=head("200 OK", f"Content-Length: {len(GOOD)}")),
        dripping(EVENTS, after=head()),
    ],
    ids=["no answer", "slow head", "half a body", "dripping body", "dripping events"],
)
def test_the_deadline_holds_at_every_stage(send: Send, ask: Ask, jpegs: list[bytes]) -> None:
    verdict = judged_by(send, ask, jpegs, deadline_s=DEADLINE_S)
    assert (verdict.cause, verdict.detail) == (Cause.TIMEOUT, "nothing in 0.2 s")


@WAYS
def test_the_deadline_holds_while_connecting(ask: Ask, jpegs: list[bytes]) -> None:
    """A full backlog: the system answers no further connection."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(full.getsockname())

        async def run() -> Verdict:
            async with judge_of(f"http://127.0.0.1:{full.getsockname()[1]}/v1", deadline_s=DEADLINE_S) as judge:
                return await ask(judge, jpegs)

        verdict = asyncio.run(run())
        assert (verdict.cause, verdict.detail) == (Cause.TIMEOUT, "nothing in 0.2 s")


@WAYS
@pytest.mark.parametrize(
    ("send", "cause"),
    [
        (sending(b"SSH-2.0-OpenSSH_9\r\n\xff\xfe\r\n"), Cause.UNREACHABLE),
        (sending(head("200 OK", f"Content-Length: {len(GOOD)}") + GOOD[:50]), Cause.CUT_OFF),
        (sending(whole("200 OK", b"[" * 100_000)), Cause.UNPARSEABLE),
        (sending(whole("200 OK", b"null")), Cause.UNPARSEABLE),
        (sending(whole("200 OK", b'data: {"choices": [null]}\n\ndata: 5\n\n')), Cause.UNPARSEABLE),
        (sending(whole("200 OK", b"data: \xff\xfe\n\n")), Cause.UNPARSEABLE),
        (sending(whole("200 OK", b"no gzip", "Content-Encoding: gzip")), Cause.CUT_OFF),
        (sending(whole("400 Bad Request", b"\xff\xfe" * 1000)), Cause.REJECTED),
        (sending(whole("429 Too Many", b"{}", "Retry-After: soon")), Cause.RATE_LIMITED),
        (endless(head(), b"x" * 65_536), Cause.UNPARSEABLE),
        (endless(head() + b"data: ", b"x" * 65_536), Cause.UNPARSEABLE),
        (endless(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 65_536), Cause.UNREACHABLE),
    ],
    ids=[
        *("not http", "cut off", "too deep", "null", "null choice", "no text", "wrong encoding", "error without text"),
        *("no pause", "endless body", "endless line", "endless head"),
    ],
)
def test_what_is_no_answer_is_unknown(send: Send, cause: Cause, ask: Ask, jpegs: list[bytes]) -> None:
    verdict = judged_by(send, ask, jpegs)
    assert (verdict.cause, len(verdict.detail) <= 300, "\n" in verdict.detail) == (cause, True, False)


class Unforeseen(ModelClient):
    """Fails as nobody thought it would."""

    async def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        raise RuntimeError("never thought of")


def test_an_answer_that_fails_as_nobody_thought_is_unparseable_and_logged_once(
    jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> list[Verdict]:
        transport = Unforeseen(Endpoint(url="http://127.0.0.1:9/v1"), retries=0)
        async with judge_of("http://127.0.0.1:9/v1", transport=transport) as judge:
            return [await judge.verdict(jpegs) for _ in range(3)]

    assert [(each.cause, each.detail) for each in asyncio.run(run())] == [(Cause.UNPARSEABLE, "never thought of")] * 3
    [record] = caplog.records
    assert record.exc_info is not None and "report it" in record.message


def test_an_answer_that_breaks_off_is_asked_for_again(jpegs: list[bytes]) -> None:
    broken = iter([True, False])

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(whole("200 OK", GOOD)[: 100 if next(broken) else None])

    assert judged_by(send, Judge.verdict, jpegs, retries=1).p_alarm is not None


def test_an_answer_is_read_whatever_type_it_claims_to_have(jpegs: list[bytes]) -> None:
    assert judged_by(sending(whole("200 OK", GOOD)), Judge.verdict, jpegs).p_alarm is not None


def test_words_without_end_keep_the_alarm(jpegs: list[bytes]) -> None:
    verdict = judged_by(endless(head() + EVENTS, EVENTS * 50), Judge.describe, jpegs)
    assert verdict.cause is None and verdict.p_alarm is not None
    assert "the description broke off" in verdict.detail and len(verdict.text or "") < MAX_BYTES


@WAYS
@pytest.mark.parametrize("status", [302, 307, 308])
def test_pictures_are_not_sent_to_where_a_server_points(
    server: ScriptedServer, status: int, ask: Ask, jpegs: list[bytes]
) -> None:
    moved = whole(f"{status} Moved", b"", f"Location: {server.url}/chat/completions")
    verdict = judged_by(sending(moved), ask, jpegs)
    assert (verdict.cause, server.requests) == (Cause.REJECTED, [])
    assert server.url in verdict.detail


@pytest.mark.parametrize(
    ("code", "cause"), [(500, Cause.SERVER_ERROR), (400, Cause.REJECTED), ("odd", Cause.SERVER_ERROR)]
)
def test_an_error_in_the_stream_has_its_cause(
    server: ScriptedServer, jpegs: list[bytes], code: object, cause: Cause
) -> None:
    server.default = Reply(events=({"error": {"message": "EngineCore died", "code": code}},))

    async def run() -> Verdict:
        async with judge_of(server.url) as judge:
            return await judge.describe(jpegs)

    verdict = asyncio.run(run())
    assert verdict.cause is cause and "EngineCore died" in verdict.detail
