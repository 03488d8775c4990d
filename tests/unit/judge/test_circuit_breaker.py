import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from judging import SAMPLING, TASK, connect, yes
from scripted_server import Reply, Request, ScriptedServer, chat, error, stream
from vigil.judge import CircuitBreaker, Endpoint, Judge
from vigil.questions import Question
from vigil.verdict import Cause, Outcome, Verdict
from waiting import HANG_S, Hands, SkippingLoop, until_async

ALARM_LOGPROBS = {"token_id:7": -0.1, "token_id:9": -3.0}
BROKEN = error(500, "the engine is gone")


def run(
    server: ScriptedServer,
    scene: Callable[[CircuitBreaker], Awaitable[Any]],
    *,
    failures: int = 2,
    probe_s: float = 0.05,
    states: list[str] | None = None,
    clock: Callable[[], float] = time.monotonic,
    is_skipping: bool = False,
    **settings: Any,
) -> Any:
    async def play() -> Any:
        async with await connect(server, **settings) as judge:
            told = None if states is None else states.append
            breaker = CircuitBreaker(judge, failures=failures, probe_s=probe_s, on_state=told, clock=clock)
            return await scene(breaker)

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        if is_skipping:
            server.let_pass = runner.get_loop().skip  # type: ignore[attr-defined]
        return runner.run(play())


async def times(count: int, breaker: CircuitBreaker, jpegs: list[bytes]) -> list[Verdict]:
    return [await breaker.verdict(jpegs) for _ in range(count)]


async def until_answered(breaker: CircuitBreaker, jpegs: list[bytes]) -> Verdict:
    while (verdict := await breaker.verdict(jpegs)).outcome is Outcome.UNKNOWN:
        await asyncio.sleep(0.01)
    return verdict


def test_it_opens_after_faults_in_a_row_and_asks_no_more(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = BROKEN

    async def scene(breaker: CircuitBreaker) -> None:
        await times(3, breaker, jpegs)
        asked = len(server.chats)
        verdict = await breaker.verdict(jpegs, start_s=2.0, end_s=4.5)
        assert (breaker.state, breaker.times_opened, len(server.chats)) == ("open", 1, asked)
        assert (verdict.cause, verdict.start_s, verdict.end_s) == (Cause.SERVER_ERROR, 2.0, 4.5)
        assert "not asked: the endpoint has been failing since" in verdict.detail and "next try in" in verdict.detail
        assert "the engine is gone" in verdict.detail and "the engine is gone" in breaker.reason
        assert breaker.since_s >= 0 and breaker.rejected == 1

    run(server, scene, failures=3, probe_s=60.0)


def test_an_answer_in_between_starts_the_count_anew(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(BROKEN, BROKEN, yes(), BROKEN, BROKEN, yes())

    async def scene(breaker: CircuitBreaker) -> None:
        await times(6, breaker, jpegs)
        assert (breaker.state, breaker.times_opened) == ("closed", 0)

    run(server, scene, failures=3)


@pytest.mark.parametrize("reply", [error(400, "bad"), Reply(body=b"<html>"), chat("Perhaps.")])
def test_what_is_wrong_with_one_window_opens_nothing(server: ScriptedServer, jpegs: list[bytes], reply: Reply) -> None:
    server.default = reply

    async def scene(breaker: CircuitBreaker) -> None:
        await times(5, breaker, jpegs)
        assert (breaker.state, breaker.reason) == ("closed", "")

    run(server, scene)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(401, "key"), Cause.UNAUTHORIZED),
        (error(429, "slow down"), Cause.RATE_LIMITED),
        (Reply(hang_up=True), Cause.UNREACHABLE),
        (Reply(body=yes().body, delay_s=1001.0), Cause.TIMEOUT),
    ],
)
def test_every_fault_of_the_endpoint_opens(
    server: ScriptedServer, jpegs: list[bytes], reply: Reply, cause: Cause
) -> None:
    server.default = reply

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        assert (breaker.state, breaker.cause) == ("open", cause)

    run(server, scene, deadline_s=1000.0, probe_s=3600.0, is_skipping=True)


def test_the_first_answer_to_a_probe_closes_it(
    server: ScriptedServer, jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    server.queue(*[BROKEN] * 4)
    states: list[str] = []
    caplog.set_level(logging.INFO, logger="vigil.judge.circuit_breaker")

    async def scene(breaker: CircuitBreaker) -> None:
        assert (await until_answered(breaker, jpegs)).outcome is Outcome.ALARM
        assert (breaker.state, breaker.times_opened, breaker.reason) == ("closed", 1, "")

    run(server, scene, states=states)
    assert states == ["open", *["probing", "open"] * 2, "probing", "closed"]
    said = [record for record in caplog.records if record.name == "vigil.judge.circuit_breaker"]
    assert [record.levelname for record in said] == ["WARNING", "INFO"]
    assert "answers again" in said[1].getMessage()


def test_many_that_fail_at_once_are_one_opening(
    server: ScriptedServer, jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    server.default = BROKEN

    async def scene(breaker: CircuitBreaker) -> None:
        verdicts = await asyncio.gather(*(breaker.verdict(jpegs) for _ in range(32)))
        assert {verdict.cause for verdict in verdicts} == {Cause.SERVER_ERROR}
        assert breaker.times_opened == 1

    run(server, scene, failures=5, probe_s=60.0)
    assert sum(record.name == "vigil.judge.circuit_breaker" for record in caplog.records) == 1


def test_one_window_is_a_probe_and_the_others_do_not_wait_for_it(server: ScriptedServer, jpegs: list[bytes]) -> None:
    hands, refused = Hands(), threading.Event()

    def held(_: Request) -> Reply:
        assert refused.wait(HANG_S), "the others waited for the probe"
        return yes()

    server.queue(BROKEN, BROKEN)
    server.default = held

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        hands.now_s += 51.0
        probe = asyncio.create_task(breaker.verdict(jpegs))
        await until_async(lambda: len(server.chats) == 3)
        others = await times(7, breaker, jpegs)
        refused.set()
        assert (await probe).outcome is Outcome.ALARM
        assert {other.cause for other in others} == {Cause.SERVER_ERROR}
        assert len(server.chats) == 3

    run(server, scene, probe_s=50.0, clock=hands)


def test_a_server_that_never_answers_does_not_delay_the_return(server: ScriptedServer, jpegs: list[bytes]) -> None:
    hands = Hands()
    server.queue(BROKEN, BROKEN, Reply(body=yes().body, delay_s=3600.0))

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        hands.now_s += 51.0
        stuck = asyncio.create_task(breaker.verdict(jpegs))
        await until_async(lambda: len(server.chats) == 3)
        assert (await breaker.verdict(jpegs)).cause is Cause.SERVER_ERROR
        hands.now_s += 51.0
        async with asyncio.timeout(HANG_S):
            assert (await breaker.verdict(jpegs)).outcome is Outcome.ALARM
        assert breaker.state == "closed" and not stuck.done()
        stuck.cancel()

    run(server, scene, probe_s=50.0, clock=hands)


def test_a_fault_of_the_server_that_is_gone_does_not_count_against_the_new_one(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    late = Reply(status=500, body={}, delay_s=0.4)
    server.queue(late, late, BROKEN, BROKEN)

    async def scene(breaker: CircuitBreaker) -> None:
        older = [asyncio.create_task(breaker.verdict(jpegs)) for _ in range(2)]
        while len(server.chats) < 2:
            await asyncio.sleep(0.01)
        await times(2, breaker, jpegs)
        await until_answered(breaker, jpegs)
        await asyncio.gather(*older)
        assert (breaker.state, breaker.times_opened) == ("closed", 1)

    run(server, scene)


def test_windows_of_files_wait_for_the_server(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(*[BROKEN] * 12)

    async def scene(breaker: CircuitBreaker) -> None:
        verdicts = await asyncio.gather(*(breaker.verdict(jpegs, wait_s=HANG_S) for _ in range(8)))
        assert {verdict.outcome for verdict in verdicts} == {Outcome.ALARM}
        assert (breaker.state, breaker.times_opened, breaker.rejected) == ("closed", 1, 0)

    run(server, scene)


def test_waiting_ends(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = BROKEN

    async def scene(breaker: CircuitBreaker) -> None:
        began_s = time.monotonic()
        async with asyncio.timeout(HANG_S):
            verdicts = await asyncio.gather(*(breaker.verdict(jpegs, wait_s=0.3) for _ in range(8)))
        assert {verdict.cause for verdict in verdicts} == {Cause.SERVER_ERROR}
        assert time.monotonic() - began_s >= 0.3

    run(server, scene)


def test_a_wrong_key_is_not_waited_for(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = error(401, "key")
    verdict = run(server, lambda breaker: breaker.verdict(jpegs, wait_s=3600.0))
    assert (verdict.cause, len(server.chats)) == (Cause.UNAUTHORIZED, 1)


def test_nobody_waits_while_the_key_is_wrong(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = error(401, "key")

    async def scene(breaker: CircuitBreaker) -> None:
        async with asyncio.timeout(HANG_S):
            await asyncio.gather(*(breaker.verdict(jpegs, wait_s=3600.0) for _ in range(4)))
            later = await asyncio.gather(*(breaker.verdict(jpegs, wait_s=3600.0) for _ in range(4)))
        assert {verdict.cause for verdict in later} == {Cause.UNAUTHORIZED}

    run(server, scene, probe_s=3600.0)


def test_windows_do_not_wait_one_after_another_for_a_server_that_is_gone(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    server.default = BROKEN

    hands = Hands()

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        # It has been away for as long as a window waits.
        hands.now_s += 3600.0
        async with asyncio.timeout(HANG_S):
            causes = {(await breaker.verdict(jpegs, wait_s=3600.0)).cause for _ in range(20)}
        assert causes == {Cause.SERVER_ERROR} and breaker.rejected == 19

    run(server, scene, probe_s=1800.0, clock=hands)


def test_a_window_that_the_server_always_fails_at_does_not_wait_for_ever(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    others = [*jpegs[:-2], jpegs[0] + b"\0", jpegs[0] + b"\0"]

    async def scene(breaker: CircuitBreaker) -> None:
        await breaker.verdict(jpegs)
        usual = len(str(server.chats[-1].body))
        server.default = lambda request: BROKEN if len(str(request.body)) > usual else yes()
        working = asyncio.create_task(_keep_asking(breaker, jpegs))
        assert (await breaker.verdict(others, wait_s=3600.0)).cause is Cause.SERVER_ERROR
        working.cancel()

    run(server, scene)


async def _keep_asking(breaker: CircuitBreaker, jpegs: list[bytes]) -> None:
    while True:
        await breaker.verdict(jpegs)


def test_a_probe_has_a_short_limit_that_grows_to_the_judges_own(
    server: ScriptedServer, jpegs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vigil.judge.circuit_breaker.PROBE_TIMEOUT_S", 0.1)
    server.queue(BROKEN, BROKEN)
    hands = Hands()
    server.default = Reply(body=yes().body, delay_s=HANG_S)

    async def probed(breaker: CircuitBreaker) -> Verdict:
        hands.now_s += 51.0
        return await breaker.verdict(jpegs)

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        said = [await probed(breaker) for _ in range(3)]
        assert {each.cause for each in said} == {Cause.TIMEOUT}
        assert [each.detail.rpartition("within ")[2] for each in said] == ["0.1 s", "0.2 s", "0.4 s"]
        server.default = yes()
        while (await probed(breaker)).outcome is not Outcome.ALARM:
            pass
        assert breaker.state == "closed"

    run(server, scene, probe_s=50.0, clock=hands)


def test_a_described_alarm_closes_it_at_its_first_token(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(BROKEN, BROKEN, stream("Yes", ", a fight", logprobs=ALARM_LOGPROBS))
    at_verdict: list[str] = []
    hands = Hands()

    async def scene(breaker: CircuitBreaker) -> Verdict:
        await times(2, breaker, jpegs)
        hands.now_s += 51.0
        return await breaker.describe(jpegs, end_s=2.5, on_verdict=lambda _: at_verdict.append(breaker.state))

    verdict = run(server, scene, probe_s=50.0, clock=hands)
    assert (verdict.text, verdict.end_s, at_verdict) == ("Yes, a fight", 2.5, ["closed"])


def test_who_waits_for_it_to_close_is_told_in_time_or_not(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(BROKEN, BROKEN)

    async def scene(breaker: CircuitBreaker) -> None:
        await times(2, breaker, jpegs)
        assert not await breaker.wait_closed(0.02)
        waiting = asyncio.create_task(breaker.wait_closed(HANG_S))
        await until_answered(breaker, jpegs)
        assert await waiting

    run(server, scene)


@pytest.mark.parametrize(
    "slow",
    [
        stream("Yes", *[" word"] * 9, logprobs=ALARM_LOGPROBS, event_delay_s=1000.0, held_back=True),
        Reply(events=(), delay_s=4000.0),
        Reply(events=(), hang_up=True),
    ],
    ids=["held back", "silent", "broken off"],
)
def test_slow_descriptions_never_open_it(server: ScriptedServer, jpegs: list[bytes], slow: Reply) -> None:
    server.default = lambda request: slow if request.body.get("stream") else yes()

    async def scene(breaker: CircuitBreaker) -> None:
        said = await asyncio.gather(*(breaker.describe(jpegs, describe_normal=True) for _ in range(4)))
        assert {each.outcome for each in said} == {Outcome.UNKNOWN}
        assert (breaker.state, breaker.times_opened) == ("closed", 0)
        # Each of the four lets its own time pass.
        await until_async(lambda: server.in_flight == 0)
        assert (await breaker.verdict(jpegs)).outcome is Outcome.ALARM

    run(server, scene, deadline_s=1000.0, is_skipping=True)


class Shown:
    """A window to ask about."""

    start_s, end_s = 0.0, 2.5

    def __init__(self, jpegs: list[bytes]) -> None:
        self.jpegs = jpegs


def test_slow_answers_in_words_never_open_it(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = lambda request: Reply(events=(), delay_s=4000.0) if request.body.get("stream") else yes()
    words = Question(name="w", text="What is there?")

    async def scene(breaker: CircuitBreaker) -> None:
        said = await asyncio.gather(*(breaker.ask(Shown(jpegs), words) for _ in range(4)))
        assert {each.cause for each in said} == {Cause.TIMEOUT}
        assert (breaker.state, breaker.times_opened) == ("closed", 0)
        await until_async(lambda: server.in_flight == 0)
        assert (await breaker.verdict(jpegs)).outcome is Outcome.ALARM

    run(server, scene, deadline_s=1000.0, is_skipping=True)


def test_a_slow_description_does_not_close_it_either(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(BROKEN, yes(), BROKEN)
    server.default = Reply(events=(), hang_up=True)

    async def scene(breaker: CircuitBreaker) -> None:
        await breaker.verdict(jpegs)
        await breaker.verdict(jpegs)
        await breaker.verdict(jpegs)
        await breaker.describe(jpegs, describe_normal=True)
        server.default = BROKEN
        await breaker.verdict(jpegs)
        assert breaker.state == "open"

    run(server, scene, probe_s=60.0)


ANSWERING = """
import sys, threading
from scripted_server import Reply, ScriptedServer, chat
with ScriptedServer(models=["tiny"], port=int(sys.argv[1])) as server:
    server.routes["/tokenize"] = lambda asked: Reply(body={"tokens": [7 if asked.body["prompt"] == "Yes" else 9]})
    server.default = chat("Yes", logprobs={"token_id:7": -0.1, "token_id:9": -3.0})
    print(server.url, flush=True)
    threading.Event().wait()
"""


@contextmanager
def process_answering(port: int = 0) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A scripted server as a process of its own, to be killed."""
    argv = [sys.executable, "-c", ANSWERING, str(port)]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_a_server_that_is_killed_and_started_again_is_found_by_the_next_probe(jpegs: list[bytes]) -> None:
    states: list[str] = []

    async def scene(first: "subprocess.Popen[str]", url: str) -> None:
        async with await Judge.connect(Endpoint(url=url), TASK, SAMPLING, media="video", retries=1) as judge:
            breaker = CircuitBreaker(judge, failures=3, probe_s=0.2, on_state=states.append)
            await asyncio.gather(*(breaker.verdict(jpegs) for _ in range(16)))
            first.kill()
            first.wait()
            lost = await asyncio.gather(*(breaker.verdict(jpegs) for _ in range(16)))
            assert {verdict.cause for verdict in lost} == {Cause.UNREACHABLE}
            assert breaker.state == "open"
            with process_answering(int(url.rpartition(":")[2].removesuffix("/v1"))):
                states.clear()
                await until_answered(breaker, jpegs)
                assert states == ["probing", "closed"]
                again = await asyncio.gather(*(breaker.verdict(jpegs) for _ in range(32)))
                assert {verdict.outcome for verdict in again} == {Outcome.ALARM}

    with process_answering() as (process, url):
        asyncio.run(scene(process, url))


def test_connections_to_the_server_that_is_gone_cost_no_verdict(jpegs: list[bytes]) -> None:
    """Killed and back before anything is asked: every idle connection of the pool is stale."""

    async def scene(first: "subprocess.Popen[str]", url: str) -> set[Outcome]:
        async with await Judge.connect(Endpoint(url=url), TASK, SAMPLING, media="video", retries=0) as judge:
            await asyncio.gather(*(judge.verdict(jpegs) for _ in range(32)))
            first.kill()
            first.wait()
            with process_answering(int(url.rpartition(":")[2].removesuffix("/v1"))):
                verdicts = await asyncio.gather(*(judge.verdict(jpegs) for _ in range(32)))
            return {verdict.outcome for verdict in verdicts}

    with process_answering() as (process, url):
        assert asyncio.run(scene(process, url)) == {Outcome.ALARM}
