"""Words of several tokens: read from the first token at which they differ, behind what they share."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from judging import connect, detokenized, tokenized
from scripted_server import Reply, Request, ScriptedServer, chat, stream
from vigil.errors import EndpointError
from vigil.judge import Judge
from vigil.judge.answer_parser import LabelLogprobs, LabelTokens, Place, combine_places, read_place
from vigil.label_tokens import find_branches
from vigil.questions import Question
from vigil.verdict import Outcome, Verdict

SHI_DE = Question.with_two_labels(name="t", text="有人打架吗？", alarm_word="是的", normal_word="没有")
SHI_DE_IDS = {"是的": [20, 93], "没有": [80]}
SHARED = Question.with_two_labels(name="t", text="人在做什么？", alarm_word="有人打架", normal_word="有人走路")
SHARED_IDS = {"有人": [5], "有人打架": [5, 6], "有人走路": [5, 7, 8]}
BROKEN_IDS = {"有人打架": [1, 2], "有人走路": [1, 3]}


def serve(server: ScriptedServer, ids: dict[str, list[int]]) -> None:
    server.routes["/tokenize"] = tokenized(ids)
    server.routes["/detokenize"] = detokenized(ids)


def ask(server: ScriptedServer, task: Question, question: Callable[[Judge], Awaitable[Verdict]]) -> Verdict:
    async def run() -> Verdict:
        async with await connect(server, task=task) as judge:
            return await question(judge)

    return asyncio.run(run())


def logprobs(**probabilities: float) -> dict[str, float]:
    return {f"token_id:{name[1:]}": math.log(value) for name, value in probabilities.items()}


def test_a_word_of_two_tokens_is_read_from_its_first_in_one_request_of_one_token(
    server: ScriptedServer, jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    serve(server, SHI_DE_IDS)
    server.default = chat("是", logprobs=logprobs(_20=0.6, _80=0.2))
    with caplog.at_level(logging.WARNING):
        verdict = ask(server, SHI_DE, lambda judge: judge.verdict(jpegs))
    assert (verdict.p_alarm, verdict.p_outside) == (pytest.approx(0.75), pytest.approx(0.2))
    (request,) = server.chats
    assert (request.body["max_tokens"], request.body["logprob_token_ids"]) == (1, [20, 80])
    assert [message["role"] for message in request.body["messages"]] == ["user"]
    assert "slower" not in caplog.text


def test_a_shared_beginning_is_put_in_front_of_the_answer_and_the_next_token_read(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    serve(server, SHARED_IDS)
    server.default = chat("走", logprobs=logprobs(_6=0.2, _7=0.6))
    verdict = ask(server, SHARED, lambda judge: judge.verdict(jpegs))
    assert (verdict.outcome, verdict.p_alarm) == (Outcome.NORMAL, pytest.approx(0.25))
    (request,) = server.chats
    assert request.body["messages"][-1] == {"role": "assistant", "content": "有人"}
    assert (request.body["continue_final_message"], request.body["add_generation_prompt"]) == (True, False)
    assert (request.body["max_tokens"], request.body["logprob_token_ids"]) == (1, [6, 7])


def test_words_behind_a_shared_beginning_are_told_whole(server: ScriptedServer, jpegs: list[bytes]) -> None:
    serve(server, SHARED_IDS)
    server.default = stream("打架", "，左边", logprobs=logprobs(_6=0.8, _7=0.1))
    heard: list[str] = []
    verdict = ask(server, SHARED, lambda judge: judge.describe(jpegs, on_text=heard.append))
    assert (verdict.outcome, verdict.text) == (Outcome.ALARM, "有人打架，左边")
    assert heard == ["有人打架", "，左边"]
    assert len(server.chats) == 1


def test_a_beginning_that_is_no_text_of_its_own_is_scored_by_whole_words(
    server: ScriptedServer, jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    serve(server, BROKEN_IDS)

    def reply(request: Request) -> Reply:
        second = "2" if request.body["messages"][-1]["content"] == "有人打架" else "3"
        scored = [None, {"1": {"logprob": -0.5}}, {second: {"logprob": -0.25 * int(second)}}]
        return Reply(body=chat("x").body | {"prompt_logprobs": scored})

    server.default = reply
    with caplog.at_level(logging.WARNING):
        verdict = ask(server, SHARED, lambda judge: judge.verdict(jpegs))
    assert verdict.p_alarm == pytest.approx(1 / (1 + math.exp(-0.25)))
    assert len(server.chats) == 2 and "'sequences'" in caplog.text


def test_a_beginning_that_the_conversation_splits_otherwise_is_not_put_in_front(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    serve(server, SHARED_IDS)
    alone = tokenized(SHARED_IDS)
    server.routes["/tokenize"] = lambda request: (
        Reply(body={"tokens": [1, 2, 3, 55]}) if len(request.body.get("messages", ())) == 2 else alone(request)
    )
    assert _words(server, SHARED).method == "sequences"


@pytest.mark.parametrize("ids", [{"是的": [20], "没有": [20, 80]}, {"是的": [4], "没有": [4]}])
def test_words_that_cannot_be_told_apart_are_one_clear_error(server: ScriptedServer, ids: dict[str, list[int]]) -> None:
    serve(server, ids)
    with pytest.raises(
        EndpointError, match=r"^model tiny: the words '是的' and '没有' cannot be told apart, .*task file"
    ):
        _words(server, SHI_DE)


@pytest.mark.parametrize("told", [Reply(status=404, body={}), Reply(body={"tokens": "many"}), Reply(body=b"<html>")])
def test_a_server_that_does_not_split_words_is_read_by_its_likeliest(server: ScriptedServer, told: Reply) -> None:
    server.routes["/tokenize"] = told
    assert _words(server, SHI_DE).method == "top"


def test_a_server_that_knows_no_named_tokens_is_read_by_its_likeliest_ones(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    serve(server, SHI_DE_IDS)
    server.default = lambda request: (
        chat("是") if "logprob_token_ids" in request.body else chat("是的，", logprobs={"是": -0.2, "没有": -2.2})
    )
    verdict = ask(server, SHI_DE, lambda judge: judge.verdict(jpegs))
    assert verdict.p_alarm == pytest.approx(1 / (1 + math.exp(-2.0)))


def test_a_likely_token_that_begins_both_words_counts_for_neither(server: ScriptedServer, jpegs: list[bytes]) -> None:
    del server.routes["/tokenize"]
    server.default = chat("有人打架", logprobs={"有人": -0.01, "没": -6.0})
    verdict = ask(server, SHARED, lambda judge: judge.verdict(jpegs))
    assert (verdict.outcome, verdict.p_alarm) == (Outcome.ALARM, None)


TEN = {f"class {number}": (number, 99) for number in range(10)}


def test_ten_words_are_read_in_one_place() -> None:
    words = _placed(TEN)
    assert words.place is not None and words.place.branch.token_ids == list(range(10))
    told = _told({number: 0.05 + 0.01 * number for number in range(10)})
    mass = combine_places([read_place(told, words.place)], words)
    assert mass is not None and mass.outside == pytest.approx(1 - sum(0.05 + 0.01 * n for n in range(10)))
    assert math.exp(mass.logprobs["class 7"]) == pytest.approx(0.12)


def test_words_of_which_some_share_a_beginning_multiply_what_each_place_tells() -> None:
    words = _placed({"sound": (7, 1), "device": (7, 2), "fall": (9, 1), "normal": (3,)})
    assert words.place is None and not words.is_single_request and len(words.places) == 2
    root, behind = words.places
    mass = combine_places(
        [read_place(_told({7: 0.6, 9: 0.2, 3: 0.1}), root), read_place(_told({1: 0.5, 2: 0.4}), behind)], words
    )
    assert mass is not None
    found = {label: round(math.exp(logprob), 6) for label, logprob in mass.logprobs.items()}
    assert found == {"sound": 0.3, "device": 0.24, "fall": 0.2, "normal": 0.1}


def test_a_place_that_tells_nothing_leaves_no_mass() -> None:
    words = _placed({"a": (7, 1), "b": (7, 2), "c": (9,)})
    assert (
        combine_places([read_place(_told({7: 0.6}), words.places[0]), read_place(None, words.places[1])], words) is None
    )


def test_the_alarm_is_weighed_against_all_other_labels() -> None:
    mass = LabelLogprobs({"alarm": math.log(0.3), "normal": math.log(0.2), "other": math.log(0.1)})
    assert mass.probability("alarm") == pytest.approx(0.5)


def _placed(ids: dict[str, tuple[int, ...]]) -> LabelTokens:
    places = tuple(Place("x" * len(branch.shared_ids), branch) for branch in find_branches(ids))
    return LabelTokens(texts={label: label for label in ids}, ids=ids, places=places)


def _told(probabilities: dict[int, float]) -> dict[str, Any]:
    entries = [{"token": f"token_id:{token}", "logprob": math.log(value)} for token, value in probabilities.items()]
    return {"content": [{"top_logprobs": entries}]}


def _words(server: ScriptedServer, task: Question) -> LabelTokens:
    async def run() -> LabelTokens:
        async with await connect(server, task=task) as judge:
            return judge.label_tokens

    return asyncio.run(run())
