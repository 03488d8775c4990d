import asyncio
from contextlib import aclosing

import pytest

from scripted_server import Reply, ScriptedServer, error, stream
from vigil.chat import ChatClient, ContextLimits, Conversation
from vigil.errors import EndpointError
from vigil.judge import Endpoint


def answer(server: ScriptedServer, *, most: int = 10**9) -> list[str]:
    async def ask() -> list[str]:
        conversation = Conversation()
        conversation.ask("Who?")
        said: list[str] = []
        async with (
            ChatClient(Endpoint(url=server.url, api_key="k")) as talker,
            aclosing(talker.answer("tiny", conversation.messages(ContextLimits()), max_tokens=9)) as pieces,
        ):
            async for piece in pieces:
                said.append(piece)
                if len(said) == most:
                    break
        return said

    return asyncio.run(ask())


def test_an_answer_comes_in_pieces() -> None:
    with ScriptedServer(api_key="k") as server:
        server.queue(stream("Two ", "people."))
        assert answer(server) == ["Two ", "people."]
        body = server.chats[0].body
    assert (body["model"], body["stream"], body["max_tokens"]) == ("tiny", True, 9)


def test_an_answer_without_words_is_empty() -> None:
    with ScriptedServer() as server:
        server.queue(stream())
        assert answer(server) == []


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (error(400, "too long"), "too long; ask for less"),
        (error(401, "Unauthorized"), "VIGIL_API_KEY"),
        (error(500, "boom"), "boom; ask again"),
        (Reply(hang_up=True), "start a server"),
        (Reply(events=({"choices": [{"delta": {"content": "half"}}]},), hang_up=True), "broke off"),
        (Reply(body=b"<html>no endpoint</html>"), "an HTML page .no endpoint."),
        (Reply(events=(), hang_up=True), "broke off"),
    ],
)
def test_a_fault_is_an_error_and_no_answer(reply: Reply, words: str) -> None:
    with ScriptedServer() as server:
        server.default = reply
        with pytest.raises(EndpointError, match=words):
            answer(server)


def test_leaving_early_closes_the_connection() -> None:
    with ScriptedServer() as server:
        server.default = stream(*["word "] * 5000, event_delay_s=0.01)
        assert answer(server, most=3) == ["word "] * 3
        assert server.wait_until_left(1) == 1
