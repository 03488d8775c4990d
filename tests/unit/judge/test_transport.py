import asyncio
import time
from typing import Any

import pytest

from scripted_server import Reply, ScriptedServer, error
from vigil.judge import Endpoint
from vigil.judge.transport import RefusedError, Transport


def post(server: ScriptedServer, *, retries: int) -> Any:
    async def run() -> Any:
        transport = Transport(Endpoint(url=server.url, api_key="k"), retries=retries)
        try:
            return await transport.chat({"model": "m"})
        finally:
            await transport.close()

    return asyncio.run(run())


def test_a_refusal_that_would_come_again_is_not_asked_again(server: ScriptedServer) -> None:
    server.queue(error(400, "too long"), Reply(body={"ok": 1}))
    with pytest.raises(RefusedError, match="too long"):
        post(server, retries=3)


def test_the_pause_that_the_server_asks_for_is_kept(server: ScriptedServer) -> None:
    server.queue(Reply(status=429, body={}, headers={"Retry-After": "0.05"}), Reply(body={"ok": 1}))
    began = time.perf_counter()
    assert post(server, retries=1) == {"ok": 1}
    assert 0.05 <= time.perf_counter() - began < 0.45


def test_as_many_times_as_told_and_no_more(server: ScriptedServer) -> None:
    again = Reply(status=503, body={"error": "busy"}, headers={"Retry-After": "0"})
    server.queue(again, again, again, Reply(body={"ok": 1}))
    with pytest.raises(RefusedError) as refused:
        post(server, retries=2)
    assert refused.value.status == 503


def test_the_key_goes_along(server: ScriptedServer) -> None:
    server.default = Reply(body={"ok": 1})
    post(server, retries=0)
    assert server.requests[-1].headers["authorization"] == "Bearer k"
