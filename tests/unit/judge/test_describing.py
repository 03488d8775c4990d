"""Models that were trained on verdicts alone: the verdict is theirs, the words are a question of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from judging import IDS, SAMPLING, TASK, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.judge import Endpoint, Judge
from vigil.judge.circuit_breaker import CircuitBreaker
from vigil.manifest import Contract
from vigil.questions import Question
from vigil.verdict import Cause, Outcome, Verdict
from waiting import SkippingLoop

SILENT = replace(Contract.of(TASK, SAMPLING), answers="verdict")
ASKS = replace(TASK, describe="Who is there?")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A base and a LoRA beside it: whoever is asked, for a verdict it says Yes and for words that two people push."""
    with ScriptedServer() as running:
        running.routes["/tokenize"] = tokenized(IDS)
        _serve(running, base="base")
        running.default = lambda request: stream("Two", " people", " push.") if _wants_words(request) else yes()
        yield running


def _serve(server: ScriptedServer, *, base: str) -> None:
    cards = [
        _card(base, root="models/a"),
        _card("fight", root="saves/fight", parent=base),
        _card(SILENT.alias_for("fight"), root="saves/fight", parent=base),
    ]
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})


def _card(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "vllm"} | more


def _wants_words(request: Request) -> bool:
    return bool(request.body.get("stream"))


def asked(
    server: ScriptedServer,
    question: Callable[[Judge], Awaitable[Verdict]],
    *,
    model: str = "fight",
    task: Question = ASKS,
    **settings: object,
) -> Verdict:
    async def run() -> Verdict:
        settings_ = {"media": "video", "retries": 0} | settings
        async with await Judge.connect(Endpoint(url=server.url, model=model), task, SAMPLING, **settings_) as judge:
            return await question(judge)

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        server.let_pass = runner.get_loop().skip  # type: ignore[attr-defined]
        return runner.run(run())


def test_the_lora_judges_and_the_base_describes(server: ScriptedServer, jpegs: list[bytes]) -> None:
    told: list[str] = []
    verdict = asked(
        server,
        lambda judge: judge.describe(
            jpegs, start_s=2.0, on_verdict=lambda said: told.append(said.outcome), on_text=told.append
        ),
    )
    judged, described = server.chats
    assert (judged.body["model"], judged.text, judged.body["max_tokens"]) == ("fight", TASK.text, 1)
    assert (described.body["model"], described.text) == ("base", "Who is there?")
    assert "logprobs" not in described.body and described.parts[0] == judged.parts[0]
    assert told == ["alarm", "Two", " people", " push."]
    assert (verdict.outcome, verdict.text, verdict.start_s) == (Outcome.ALARM, "Two people push.", 2.0)


def test_a_task_without_such_a_question_asks_the_usual_one(server: ScriptedServer, jpegs: list[bytes]) -> None:
    asked(server, lambda judge: judge.describe(jpegs), task=replace(TASK, language="en"))
    assert server.chats[-1].text == "Describe the scene, the people and what happens, in detail."


def test_a_model_without_a_base_beside_it_describes_itself(server: ScriptedServer, jpegs: list[bytes]) -> None:
    cards = [_card("merged", root="m"), _card(SILENT.alias, root="m")]
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})
    assert asked(server, lambda judge: judge.describe(jpegs), model="merged").text == "Two people push."
    assert [chat.body["model"] for chat in server.chats] == ["merged", "merged"]


def test_a_model_that_answers_with_words_is_asked_once_as_ever(server: ScriptedServer, jpegs: list[bytes]) -> None:
    cards = [_card("base"), _card("fight", root="f", parent="base"), _card(Contract.of(TASK, SAMPLING).alias, root="f")]
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})
    server.default = stream("Yes", ", two push.", logprobs={"token_id:7": -0.1, "token_id:9": -3.0})
    assert asked(server, lambda judge: judge.describe(jpegs)).text == "Yes, two push."
    assert [chat.body["model"] for chat in server.chats] == ["fight"]


def test_the_manifest_tells_where_the_server_does_not(server: ScriptedServer, jpegs: list[bytes]) -> None:
    cards = [_card("base"), _card("fight", root="f", parent="base")]
    server.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})
    asked(server, lambda judge: judge.describe(jpegs), answers="verdict")
    assert [chat.body["model"] for chat in server.chats] == ["fight", "base"]


def test_a_normal_window_is_described_only_when_asked_for(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = lambda request: stream("Calm.") if _wants_words(request) else no()
    assert asked(server, lambda judge: judge.describe(jpegs)).text is None
    assert len(server.chats) == 1
    verdict = asked(server, lambda judge: judge.describe(jpegs, describe_normal=True))
    assert (verdict.outcome, verdict.text) == (Outcome.NORMAL, "Calm.")


def test_a_known_verdict_is_not_asked_for_again(server: ScriptedServer, jpegs: list[bytes]) -> None:
    known = Verdict(outcome=Outcome.ALARM, p_alarm=0.9, tokens=100)
    verdict = asked(server, lambda judge: CircuitBreaker(judge).describe(jpegs, known=known, describe_normal=True))
    assert [chat.body["model"] for chat in server.chats] == ["base"]
    assert (verdict.p_alarm, verdict.text) == (0.9, "Two people push.")


def test_words_that_never_come_leave_a_fresh_verdict_and_tell_of_a_known_one(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    server.default = lambda request: error(503, "away") if _wants_words(request) else yes()
    verdict = asked(server, lambda judge: judge.describe(jpegs))
    assert (verdict.outcome, verdict.text) == (Outcome.ALARM, None) and "broke off: " in verdict.detail
    known = Verdict(outcome=Outcome.ALARM, p_alarm=0.9)
    assert asked(server, lambda judge: judge.describe(jpegs, known=known)).cause is Cause.SERVER_ERROR


def test_a_verdict_that_never_comes_is_not_described(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = lambda request: stream("Two") if _wants_words(request) else error(503, "away")
    told: list[Verdict] = []
    verdict = asked(server, lambda judge: judge.describe(jpegs, describe_normal=True, on_verdict=told.append))
    assert verdict.cause is Cause.SERVER_ERROR and not told and len(server.chats) == 1


def test_words_that_break_off_keep_what_came(server: ScriptedServer, jpegs: list[bytes]) -> None:
    whole = stream("Two people", " push.").events
    assert whole is not None
    cut = Reply(events=whole[:2], hang_up=True)
    server.default = lambda request: cut if _wants_words(request) else yes()
    verdict = asked(server, lambda judge: judge.describe(jpegs), deadline_s=1000.0)
    assert (verdict.outcome, verdict.text) == (Outcome.ALARM, "Two people") and "broke off" in verdict.detail


@pytest.mark.parametrize("known", [None, Verdict(outcome=Outcome.ALARM, p_alarm=0.9)])
def test_words_that_a_proxy_holds_back_to_their_end_are_not_lost(
    server: ScriptedServer, jpegs: list[bytes], known: Verdict | None
) -> None:
    held = stream("Two", *[" push"] * 17, event_delay_s=80.0, held_back=True)
    server.default = lambda request: held if _wants_words(request) else yes()
    verdict = asked(server, lambda judge: judge.describe(jpegs, known=known), deadline_s=1000.0)
    assert (verdict.outcome, verdict.detail) == (Outcome.ALARM, "")
    assert (verdict.text or "").count("push") == 17


def test_words_that_come_too_late_open_no_breaker(server: ScriptedServer, jpegs: list[bytes]) -> None:
    never = stream("Two", event_delay_s=4000.0)
    server.default = lambda request: never if _wants_words(request) else yes()
    known = Verdict(outcome=Outcome.ALARM, p_alarm=0.9)

    async def question(judge: Judge) -> Verdict:
        breaker = CircuitBreaker(judge, failures=1)
        late = await breaker.describe(jpegs, known=known, describe_normal=True)
        assert (late.cause, breaker.times_opened) == (Cause.TIMEOUT, 0)
        return await breaker.verdict(jpegs)

    assert asked(server, question, deadline_s=1000.0).outcome is Outcome.ALARM


def test_after_an_exchange_the_words_are_asked_of_the_base_that_is_there_now(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    async def question(judge: Judge) -> Verdict:
        _serve(server, base="newer")
        judge.facts.doubt()
        return await judge.describe(jpegs, known=Verdict(outcome=Outcome.ALARM, p_alarm=0.9))

    assert asked(server, question).text == "Two people push."
    assert [chat.body["model"] for chat in server.chats] == ["newer"]


def test_words_of_a_server_that_is_exchanged_under_them_are_told_as_that(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    async def question(judge: Judge) -> Verdict:
        def exchange(_: Request) -> Reply:
            _serve(server, base="newer")
            judge.facts.doubt()
            return stream("Two", " people", " push.")

        server.default = exchange
        return await judge.describe(jpegs, known=Verdict(outcome=Outcome.ALARM, p_alarm=0.9))

    verdict = asked(server, question)
    assert verdict.outcome is Outcome.ALARM and "replaced during the request" in verdict.detail
    assert verdict.text != "Two people push."


def test_a_question_for_words_goes_to_the_base_at_once(server: ScriptedServer, jpegs: list[bytes]) -> None:
    question = Question(name="van", text="What colour is the van?")
    said = asked(server, lambda judge: judge.verdict(jpegs), task=question)
    assert (said.text, said.cause) == ("Two people push.", Cause.WORDS_ONLY)
    assert [(chat.body["model"], chat.text) for chat in server.chats] == [("base", "What colour is the van?")]
