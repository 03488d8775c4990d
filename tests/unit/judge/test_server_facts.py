"""A server that comes back is read again before its answers count; one that fails for now is not believed lacking."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from judging import IDS, SAMPLING, TASK, connect, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer, chat, error, stream
from vigil.errors import EndpointError, EndpointUnreachable
from vigil.frames import FrameSampling
from vigil.judge import CircuitBreaker, Endpoint, Judge
from vigil.judge import server_facts as facts_module
from vigil.manifest import Calibration, Contract
from vigil.verdict import Cause, Outcome, Verdict

EXCHANGED = {"Yes": [9], "No": [7]}
SAYS_NO = {"token_id:7": -0.05, "token_id:9": -3.0}
"""What the exchanged server says of a normal window: by the token ids of the first one it would alarm at p 0.95."""


def port_of(server: ScriptedServer) -> int:
    return int(server.url.rpartition(":")[2].removesuffix("/v1"))


@contextmanager
def serving(
    port: int = 0, *, ids: dict[str, list[int]] | None = None, models: tuple[str, ...] = ("tiny",)
) -> Iterator[ScriptedServer]:
    with ScriptedServer(models=models, port=port) as running:
        running.routes["/tokenize"] = tokenized(ids or IDS)
        running.default = chat("No", logprobs=SAYS_NO) if ids else no()
        yield running


def contract(server: ScriptedServer, sampling: FrameSampling = SAMPLING, name: str = "tiny") -> None:
    names = (name, Contract.of(TASK, sampling).alias)
    cards = [{"id": each, "object": "model", "created": 1, "owned_by": "vllm", "root": "m"} for each in names]
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})


async def connected(server: ScriptedServer, **settings: Any) -> Judge:
    return await connect(server, **settings)


@pytest.mark.parametrize(
    "fault", [error(500, "x"), error(502, "x"), error(503, "x"), error(429, "x"), Reply(hang_up=True)]
)
@pytest.mark.parametrize("path", ["/v1/models", "/tokenize", "/v1/chat/completions"])
def test_one_fault_at_connection_does_not_make_it_believe_that_the_server_cannot(
    server: ScriptedServer, path: str, fault: Reply, jpegs: list[bytes]
) -> None:
    if path == "/v1/models" and fault.hang_up:
        fault = error(504, "x")
    failed: list[str] = []
    usual = server.routes.get(path)

    def once(request: Request) -> Reply:
        if not failed:
            failed.append(path)
            return fault
        if usual is None:
            return yes() if path != "/v1/models" else models(server)
        return usual if isinstance(usual, Reply) else usual(request)

    server.routes[path] = once

    async def run() -> tuple[str, str, Verdict]:
        async with await connected(server, media=None) as judge:
            return judge.media, judge.label_tokens.method, await judge.verdict(jpegs)

    media, way, verdict = asyncio.run(run())
    assert (failed, media, way, verdict.outcome) == ([path], "video", "ids", Outcome.ALARM)


def models(server: ScriptedServer) -> Reply:
    cards = [{"id": name, "object": "model", "created": 1, "owned_by": "test"} for name in server.models]
    return Reply(body={"object": "list", "data": cards})


@pytest.mark.parametrize("path", ["/v1/models", "/tokenize", "/v1/chat/completions"])
def test_a_server_that_goes_on_failing_is_away_and_nothing_is_concluded_of_it(
    server: ScriptedServer, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.judge.faults.BUSY_S", 0.3)
    server.routes[path] = error(503, "loading")
    with pytest.raises(EndpointUnreachable, match=r"cannot answer now .*503"):
        asyncio.run(connected(server, media=None))


def test_exchanged_token_ids_announce_no_false_alarm(jpegs: list[bytes]) -> None:
    """Nothing is asked between the two servers, so that nothing but the line itself tells of the exchange."""

    async def run() -> tuple[Verdict, Verdict, tuple[int, ...]]:
        with serving() as first:
            judge = await connected(first)
            before = await judge.verdict(jpegs)
        with serving(port_of(first), ids=EXCHANGED):
            async with judge:
                return before, await judge.verdict(jpegs), judge.label_tokens.ids["alarm"]

    before, after, ids = asyncio.run(run())
    assert (before.outcome, after.outcome, ids) == (Outcome.NORMAL, Outcome.NORMAL, (9,))
    assert after.p_alarm is not None and after.p_alarm < 0.1


def test_exchanged_token_ids_put_no_normal_window_into_words(jpegs: list[bytes]) -> None:
    async def run() -> list[Verdict]:
        with serving() as first:
            judge = await connected(first)
            await judge.verdict(jpegs)
        with serving(port_of(first), ids=EXCHANGED) as second:
            second.default = stream("No", logprobs=SAYS_NO)
            async with judge:
                return [await judge.describe(jpegs) for _ in range(2)]

    found = asyncio.run(run())
    assert Outcome.ALARM not in {each.outcome for each in found}
    assert (found[1].outcome, found[1].cause) == (Outcome.NORMAL, None)


def test_after_an_outage_nothing_counts_until_the_server_tells_what_it_serves(jpegs: list[bytes]) -> None:
    async def run() -> tuple[list[Verdict], Verdict]:
        with serving() as first:
            judge = await connected(first)
            breaker = CircuitBreaker(judge, failures=2, probe_s=0.02)
            await breaker.verdict(jpegs)
        lost = [await breaker.verdict(jpegs) for _ in range(3)]
        with serving(port_of(first), ids=EXCHANGED) as second:
            second.routes["/tokenize"] = error(503, "loading")
            async with judge:
                for _ in range(8):
                    lost.append(await breaker.verdict(jpegs))
                    await asyncio.sleep(0.02)
                assert breaker.state != "closed"
                second.routes["/tokenize"] = tokenized(EXCHANGED)
                while (verdict := await breaker.verdict(jpegs)).cause is not None:
                    await asyncio.sleep(0.01)
                return lost, verdict

    lost, verdict = asyncio.run(run())
    assert {each.outcome for each in lost} == {Outcome.UNKNOWN}
    assert {each.cause for each in lost} <= {Cause.UNREACHABLE, Cause.SERVER_ERROR}
    assert verdict.outcome is Outcome.NORMAL


def test_another_contract_is_unknown_with_its_cause_until_the_first_is_back(jpegs: list[bytes]) -> None:
    async def run() -> tuple[Verdict, Verdict]:
        with serving() as first:
            contract(first)
            judge = await connected(first)
            await judge.verdict(jpegs)
        with serving(port_of(first)) as second:
            contract(second, FrameSampling())
            other = await judge.verdict(jpegs)
            contract(second)
            async with judge:
                return other, await judge.verdict(jpegs)

    other, back = asyncio.run(run())
    assert (other.cause, back.outcome) == (Cause.EXCHANGED, Outcome.NORMAL)
    assert "came back with another contract" in other.detail and "max_pixels" in other.detail


def test_a_model_of_another_name_is_found_where_none_was_named(jpegs: list[bytes]) -> None:
    async def run() -> str:
        with serving() as first:
            judge = await connected(first)
            await judge.verdict(jpegs)
        with serving(port_of(first), models=("newer",)):
            async with judge:
                assert (await judge.verdict(jpegs)).outcome is Outcome.NORMAL
                return judge.model

    assert asyncio.run(run()) == "newer"


def test_a_model_that_was_named_and_is_gone_is_unknown_and_says_which_there_are(jpegs: list[bytes]) -> None:
    async def run() -> Verdict:
        with serving() as first:
            endpoint = Endpoint(url=first.url, model="tiny")
            judge = await Judge.connect(endpoint, TASK, SAMPLING, media="video", retries=0)
            await judge.verdict(jpegs)
        with serving(port_of(first), models=("newer",)):
            async with judge:
                return await judge.verdict(jpegs)

    verdict = asyncio.run(run())
    assert verdict.cause is Cause.EXCHANGED and "has no model 'tiny'; it serves newer" in verdict.detail


def test_a_pinned_judge_takes_no_other_model(jpegs: list[bytes]) -> None:
    async def run() -> tuple[Verdict, Verdict]:
        with serving() as first:
            judge = await connected(first, pinned=True)
            await judge.verdict(jpegs)
        with serving(port_of(first)):
            same_again = await judge.verdict(jpegs)
        with serving(port_of(first), ids=EXCHANGED):
            async with judge:
                return same_again, await judge.verdict(jpegs)

    same, other = asyncio.run(run())
    assert (same.outcome, other.cause) == (Outcome.NORMAL, Cause.EXCHANGED)


def test_the_calibration_is_read_again_with_the_model(jpegs: list[bytes]) -> None:
    kept = [Calibration(temperature=1.0, bias=0.0)]

    async def run() -> list[float | None]:
        with serving() as first:
            judge = await connected(first, read_calibration=lambda: kept[-1])
            before = await judge.verdict(jpegs)
        kept.append(Calibration(temperature=1.0, bias=4.0))
        with serving(port_of(first)):
            async with judge:
                after = await judge.verdict(jpegs)
        return [before.p_alarm, before.p_raw, after.p_alarm, after.p_raw]

    before, raw, after, raw_after = asyncio.run(run())
    assert before == pytest.approx(raw) == pytest.approx(raw_after)
    assert after is not None and raw is not None and after > 10 * raw


def test_a_server_that_stays_is_not_asked_what_it_serves_for_each_window(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    async def run() -> None:
        async with await connected(server) as judge:
            await asyncio.gather(*(judge.verdict(jpegs) for _ in range(8)))
            for _ in range(8):
                await judge.verdict(jpegs)

    asyncio.run(run())
    assert sum(request.path == "/v1/models" for request in server.requests) == 1


def test_what_a_proxy_exchanges_in_silence_is_found_in_time(
    server: ScriptedServer, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> Verdict:
        async with await connected(server) as judge:
            await judge.verdict(jpegs)
            server.routes["/tokenize"] = tokenized(EXCHANGED)
            server.default = chat("No", logprobs=SAYS_NO)
            monkeypatch.setattr(facts_module, "RENEW_S", 0.0)
            return await judge.verdict(jpegs)

    verdict = asyncio.run(run())
    assert (verdict.outcome, verdict.cause) == (Outcome.NORMAL, None)


def test_words_that_changed_unseen_contradict_and_are_never_an_alarm(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    async def run() -> list[Verdict]:
        async with await connected(server) as judge:
            server.routes["/tokenize"] = tokenized(EXCHANGED)
            server.default = chat("No", logprobs=SAYS_NO)
            return [await judge.verdict(jpegs) for _ in range(2)]

    assert {each.cause for each in asyncio.run(run())} == {Cause.CONTRADICTORY}


def test_a_change_is_told_once(jpegs: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with serving() as first:
            judge = await connected(first)
            await judge.verdict(jpegs)
        with serving(port_of(first), ids=EXCHANGED):
            async with judge:
                await asyncio.gather(*(judge.verdict(jpegs) for _ in range(8)))

    with caplog.at_level(logging.INFO):
        asyncio.run(run())
    assert sum("the server has changed" in record.message for record in caplog.records) == 1


def test_a_server_that_lacks_the_named_model_is_no_fault_that_passes(server: ScriptedServer) -> None:
    with pytest.raises(EndpointError) as caught:
        asyncio.run(Judge.connect(Endpoint(url=server.url, model="big"), TASK, SAMPLING))
    assert not isinstance(caught.value, EndpointUnreachable)
