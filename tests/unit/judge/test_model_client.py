import asyncio
from typing import Any

import pytest

from scripted_server import Reply, ScriptedServer, error
from vigil.judge import Endpoint
from vigil.judge.model_client import HttpStatusError, ModelClient
from waiting import Hands


def post(server: ScriptedServer, *, retries: int, hands: Hands | None = None) -> Any:
    async def run() -> Any:
        transport = ModelClient(Endpoint(url=server.url, api_key="k"), retries=retries, sleep=(hands or Hands()).sleep)
        try:
            return await transport.chat({"model": "m"})
        finally:
            await transport.close()

    return asyncio.run(run())


def test_a_refusal_that_would_come_again_is_not_asked_again(server: ScriptedServer) -> None:
    server.queue(error(400, "too long"), Reply(body={"ok": 1}))
    with pytest.raises(HttpStatusError, match="too long"):
        post(server, retries=3)


def test_the_pause_that_the_server_asks_for_is_kept(server: ScriptedServer) -> None:
    hands = Hands()
    server.queue(Reply(status=429, body={}, headers={"Retry-After": "3.5"}), Reply(body={"ok": 1}))
    assert post(server, retries=1, hands=hands) == {"ok": 1}
    assert hands.waits == [3.5]


def test_without_such_a_pause_it_waits_longer_each_time_and_never_long(server: ScriptedServer) -> None:
    hands = Hands()
    server.queue(*[error(503, "busy")] * 8, Reply(body={"ok": 1}))
    assert post(server, retries=8, hands=hands) == {"ok": 1}
    assert all(0.5 * 2**n <= wait_s <= 0.5 * 2**n + 0.25 for n, wait_s in enumerate(hands.waits[:4]))
    assert hands.waits[4:] == [8.0] * 4


def test_as_many_times_as_told_and_no_more(server: ScriptedServer) -> None:
    again = Reply(status=503, body={"error": "busy"}, headers={"Retry-After": "0"})
    server.queue(again, again, again, Reply(body={"ok": 1}))
    with pytest.raises(HttpStatusError) as refused:
        post(server, retries=2)
    assert refused.value.status == 503


def test_the_key_goes_along(server: ScriptedServer) -> None:
    server.default = Reply(body={"ok": 1})
    post(server, retries=0)
    assert server.requests[-1].headers["authorization"] == "Bearer k"
