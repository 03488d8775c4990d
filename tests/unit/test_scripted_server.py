import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from scripted_server import Reply, Request, ScriptedServer, chat, error, stream
from waiting import HANG_S


def client(server: ScriptedServer, key: str = "EMPTY") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=HANG_S)


def ask(api: openai.OpenAI, **more: object) -> object:
    return api.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}], **more)


def test_answers_come_in_the_order_of_the_script_and_then_by_default() -> None:
    with ScriptedServer() as server, client(server) as api:
        server.queue(chat("one", logprobs={"one": -0.1, "two": -2.5}), error(400, "too long"))
        server.default = lambda request: chat(request.text.upper())
        first = ask(api)
        assert first.choices[0].message.content == "one"
        assert first.choices[0].logprobs.content[0].top_logprobs[1].logprob == -2.5
        with pytest.raises(openai.BadRequestError, match="too long"):
            ask(api)
        assert ask(api).choices[0].message.content == "HI"
        assert len(server.chats) == 3


def test_a_stream_arrives_piece_by_piece_and_can_break_off() -> None:
    with ScriptedServer() as server, client(server) as api:
        server.queue(stream("是的", "，", "有人。"), stream("是的", hang_up=True))
        pieces = [chunk.choices[0].delta.content for chunk in ask(api, stream=True)]
        assert "".join(filter(None, pieces)) == "是的，有人。"
        assert [chunk.choices[0].delta.content for chunk in ask(api, stream=True)][1] == "是的"


def test_an_answer_can_break_off_in_its_middle() -> None:
    with ScriptedServer() as server, client(server) as api:
        server.default = chat("one", hang_up=True)
        with pytest.raises(openai.APIConnectionError):
            ask(api)


def test_models_routes_and_keys_are_served() -> None:
    with ScriptedServer(models=["a", "b"], api_key="secret") as server, client(server, "secret") as api:
        assert [model.id for model in api.models.list()] == ["a", "b"]
        server.routes["/tokenize"] = Reply(body={"tokens": [1, 2]})
        root = server.url.removesuffix("/v1")
        assert httpx.post(f"{root}/tokenize", json={}, timeout=HANG_S).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert httpx.post(f"{root}/tokenize", json={}, headers=headers, timeout=HANG_S).json() == {"tokens": [1, 2]}


def test_a_slow_answer_meets_the_deadline_of_the_client_and_a_hang_up_is_no_answer() -> None:
    with ScriptedServer() as server, client(server) as api:
        server.queue(chat("late", delay_s=HANG_S), Reply(hang_up=True))
        with pytest.raises(openai.APITimeoutError):
            ask(api.with_options(timeout=0.05))
        with pytest.raises(openai.APIConnectionError):
            ask(api)


def test_parts_of_a_request_are_listed_whatever_form_the_content_has() -> None:
    body = {"messages": [{"content": "a"}, {"content": [{"type": "text", "text": "b"}, {"type": "image_url"}]}]}
    request = Request("POST", "/v1/chat/completions", {}, body)
    assert request.text == "a\nb"
    assert len(request.parts) == 3


def test_a_chat_that_comes_later_is_waited_for_and_one_that_does_not_is_named() -> None:
    with ScriptedServer() as server, client(server) as api:
        server.default = chat("one")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, api)
            assert [request.text for request in server.wait_for_chats(1)] == ["hi"]
            asked.result()
        with pytest.raises(AssertionError, match="1 chats came in 0 s, 2 were expected"):
            server.wait_for_chats(2, within_s=0.05)
        assert server.wait_until_quiet(quiet_s=0.05) == 1
        server.forget()
        assert server.chats == []


def test_a_server_that_is_asked_on_and_on_is_never_quiet() -> None:
    with ScriptedServer() as server, client(server) as api, ThreadPoolExecutor(1) as pool:
        server.default = chat("one")
        over = threading.Event()

        def ask_on() -> None:
            while not over.is_set():
                ask(api)

        asking = pool.submit(ask_on)
        try:
            with pytest.raises(AssertionError, match="still asked"):
                server.wait_until_quiet(quiet_s=5.0, within_s=0.2)
        finally:
            over.set()
        asking.result()
