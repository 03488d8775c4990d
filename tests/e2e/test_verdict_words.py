"""Verdict words on the real vLLM: read from the first token at which they differ, in one request of one token.

What is read is held against the log probabilities of whole words behind the prompt (`prompt_logprobs`).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
import numpy as np
import pytest

from vigil.errors import EndpointError, UsageError
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Judge
from vigil.judge.endpoint_http import EndpointHttp
from vigil.judge.label_token_lookup import find_label_tokens
from vigil.judge.model_client import CONTINUED, answer_begun, chat_messages
from vigil.questions import Label, Question
from vigil.serving.server import RunningServer
from vigil.verdict import Cause, Verdict
from waiting import HANG_S

pytestmark = pytest.mark.e2e

Found = TypeVar("Found")

QUESTION = "请分析这个视频。"
TWO_TOKENS = {"alarm": "是的", "normal": "没有"}
SHARED = {"alarm": "有人打架", "normal": "有人走路"}
LETTERS = tuple("ABCDEFGHIJ")
CLASSES = ("周界翻越", "禁区闯入", "夜间徘徊", "跌倒", "剧烈冲突", "危险工具", "烟雾", "异常声响", "设备异常", "正常")
WITHIN_CHARACTERS = {"alarm": "齁", "normal": "齂"}
"""Two characters that share their first bytes, and stand in no text from which the vocabulary was made."""

NEARLY = 0.02
"""How far apart the log probabilities of one token may be when it is prompt and when it is answer."""


def window() -> list[bytes]:
    """Six pictures, other ones each time, so that no cache answers."""
    rng = np.random.default_rng()
    return [encode_jpeg(rng.integers(0, 255, (96, 128, 3), np.uint8), quality=90) for _ in range(6)]


def question_of(words: Mapping[str, str], *, name: str = "t") -> Question:
    labels = (Label(name=label, word=word, is_alarm=label == "alarm") for label, word in words.items())
    return Question(name=name, text=QUESTION, labels=tuple(labels))


def judged(
    server: RunningServer, sampling: FrameSampling, words: Mapping[str, str], ask: Callable[[Judge], Awaitable[Found]]
) -> tuple[Judge, Found]:
    """A judge of these labels, and what asking it gave."""

    async def run() -> tuple[Judge, Found]:
        endpoint = server.endpoint()
        async with await Judge.connect(
            endpoint, question_of(words), sampling, media="video", min_label_probability=0.0
        ) as judge:
            return judge, await ask(judge)

    return asyncio.run(run())


def token_logprobs(server: RunningServer, jpegs: list[bytes], word: str, count: int) -> list[float]:
    """The log probability of each token of a word behind the prompt."""
    asked = chat_messages(jpegs, QUESTION, media="video", fps=2.0)
    body = {"model": server.model, "messages": answer_begun(asked, word), "max_tokens": 1, "prompt_logprobs": 0}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(
        f"{server.url}/chat/completions", json=body | CONTINUED, headers=headers, timeout=HANG_S, trust_env=False
    )
    tail = answer.raise_for_status().json()["prompt_logprobs"][-count:]
    return [next(iter(entry.values()))["logprob"] for entry in tail]


def answered(server: RunningServer) -> float:
    """How many requests the server has answered."""
    headers = {"Authorization": f"Bearer {server.key}"}
    lines = httpx.get(f"{server.root}/metrics", headers=headers, trust_env=False, timeout=HANG_S).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vllm:request_success_total"))


def assert_read(verdict: Verdict, logprobs: Mapping[str, float]) -> None:
    """That a verdict is what these log probabilities of the labels make."""
    inside = {label: math.exp(logprob) for label, logprob in logprobs.items()}
    assert verdict.p_alarm is not None and verdict.p_outside is not None
    assert _logit(verdict.p_alarm) == pytest.approx(_logit(inside["alarm"] / sum(inside.values())), abs=2 * NEARLY)
    assert math.log1p(-verdict.p_outside) == pytest.approx(math.log(sum(inside.values())), abs=NEARLY)


def _logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_words_of_several_tokens_are_read_from_their_first_one(server: RunningServer, sampling: FrameSampling) -> None:
    jpegs = window()
    judge, verdict = judged(server, sampling, TWO_TOKENS, lambda judge: judge.verdict(jpegs))
    assert {label: len(ids) for label, ids in judge.label_tokens.ids.items()} == {"alarm": 2, "normal": 1}
    assert judge.label_tokens.beginning == ""
    scored = {
        label: token_logprobs(server, jpegs, word, len(judge.label_tokens.ids[label]))[0]
        for label, word in TWO_TOKENS.items()
    }
    assert_read(verdict, scored)


def test_words_that_share_a_beginning_are_read_behind_it(server: RunningServer, sampling: FrameSampling) -> None:
    jpegs = window()
    judge, verdict = judged(server, sampling, SHARED, lambda judge: judge.verdict(jpegs))
    place = judge.label_tokens.place
    assert place is not None and judge.label_tokens.beginning == "有人"
    depth = len(place.branch.shared_ids)
    scored = {
        label: token_logprobs(server, jpegs, word, len(judge.label_tokens.ids[label]))[depth]
        for label, word in SHARED.items()
    }
    assert_read(verdict, scored)


def test_the_words_behind_a_shared_beginning_are_streamed_with_it(
    server: RunningServer, sampling: FrameSampling
) -> None:
    _, verdict = judged(
        server, sampling, SHARED, lambda judge: judge.describe(window(), max_tokens=4, describe_normal=True)
    )
    assert (verdict.text or "").startswith("有人") and verdict.p_alarm is not None


@pytest.mark.parametrize("ten", [LETTERS, CLASSES], ids=["letters", "classes"])
def test_ten_words_are_read_from_one_token(
    server: RunningServer, sampling: FrameSampling, ten: tuple[str, ...]
) -> None:
    words = {"alarm": ten[0], "normal": ten[1]} | {word: word for word in ten[2:]}
    jpegs = window()
    judge, verdict = judged(server, sampling, words, lambda judge: judge.verdict(jpegs))
    assert judge.label_tokens.place is not None and len(judge.label_tokens.place.branch.token_ids) == 10
    scored = {
        label: token_logprobs(server, jpegs, word, len(judge.label_tokens.ids[label]))[0]
        for label, word in words.items()
    }
    assert_read(verdict, scored)


@dataclass(frozen=True)
class Pictures:
    """A window of the given pictures."""

    jpegs: list[bytes]
    start_s: float = 4.0
    end_s: float = 6.5


def test_two_questions_are_asked_about_one_window_one_of_them_with_ten_labels(
    server: RunningServer, sampling: FrameSampling
) -> None:
    pictures = Pictures(window())
    ten = question_of({"alarm": CLASSES[0]} | {word: word for word in CLASSES[1:]}, name="ten")
    fight = question_of(TWO_TOKENS, name="fight")
    _, answers = judged(server, sampling, TWO_TOKENS, lambda judge: judge.ask_all(pictures, [fight, ten]))

    assert {name: answer.question for name, answer in answers.items()} == {"fight": "fight", "ten": "ten"}
    for question in (fight, ten):
        answer = answers[question.name]
        assert answer.cause is None and (answer.start_s, answer.end_s) == (4.0, 6.5)
        ids = asyncio.run(find_label_tokens(server.endpoint(), question.words(), server.model)).ids
        scored = {
            label: math.exp(token_logprobs(server, pictures.jpegs, word, len(ids[label]))[0])
            for label, word in question.words().items()
        }
        whole = sum(scored.values())
        logits = {label: _logit(p) for label, p in answer.probabilities.items()}
        assert logits == pytest.approx({label: _logit(p / whole) for label, p in scored.items()}, abs=2 * NEARLY)
        assert answer.verdict(question, alarm_from=0.5).p_alarm == answer.probabilities["alarm"]


def test_words_that_part_within_a_character_are_scored_whole(server: RunningServer, sampling: FrameSampling) -> None:
    jpegs = window()
    judge, verdict = judged(server, sampling, WITHIN_CHARACTERS, lambda judge: judge.verdict(jpegs))
    assert judge.label_tokens.method == "sequences"
    scored = {
        label: sum(token_logprobs(server, jpegs, word, len(judge.label_tokens.ids[label])))
        for label, word in WITHIN_CHARACTERS.items()
    }
    assert verdict.p_alarm is not None
    assert _logit(verdict.p_alarm) == pytest.approx(scored["alarm"] - scored["normal"], abs=NEARLY)


def test_words_of_which_some_share_a_beginning_are_read_at_each_place(
    server: RunningServer, sampling: FrameSampling
) -> None:
    words = SHARED | {"other": "跌倒"}
    jpegs = window()
    judge, verdict = judged(server, sampling, words, lambda judge: judge.verdict(jpegs))
    assert judge.label_tokens.method == "ids" and len(judge.label_tokens.places) == 2
    root, behind = judge.label_tokens.places
    scored = {}
    for label, word in words.items():
        each = token_logprobs(server, jpegs, word, len(judge.label_tokens.ids[label]))
        scored[label] = each[0] + (each[len(behind.branch.shared_ids)] if label in behind.branch.next_id else 0.0)
    assert root.beginning == "" and behind.beginning == "有人"
    assert_read(verdict, scored)


@pytest.mark.parametrize("words", [TWO_TOKENS, SHARED], ids=["two tokens", "a shared beginning"])
def test_a_window_is_one_request_of_one_token(
    server: RunningServer, sampling: FrameSampling, words: dict[str, str]
) -> None:
    windows = [window() for _ in range(5)]
    before: list[float] = []

    async def ask(judge: Judge) -> list[Verdict]:
        before.append(answered(server))
        return [await judge.verdict(jpegs) for jpegs in windows]

    _, verdicts = judged(server, sampling, words, ask)
    assert all(verdict.p_alarm is not None for verdict in verdicts)
    assert answered(server) - before[0] == len(windows)


def test_words_that_cannot_be_told_apart_end_before_the_first_window(
    server: RunningServer, sampling: FrameSampling
) -> None:
    task = Question.with_two_labels(name="t", text=QUESTION, alarm_word="没有，有", normal_word="没有")

    async def run() -> None:
        async with await Judge.connect(server.endpoint(), task, sampling):
            raise AssertionError

    with pytest.raises(EndpointError, match="'没有，有' and '没有' cannot be told apart"):
        asyncio.run(run())


def test_another_question_whose_words_cannot_be_told_apart_is_refused(
    server: RunningServer, sampling: FrameSampling
) -> None:
    twins = question_of({"alarm": "没有，有", "normal": "没有"}, name="twins")
    with pytest.raises(UsageError, match=r"question 'twins' cannot be asked: .* cannot be told apart"):
        judged(server, sampling, TWO_TOKENS, lambda judge: judge.ask(Pictures(window()), twins))


def test_a_question_without_labels_is_answered_by_a_text(server: RunningServer, sampling: FrameSampling) -> None:
    free = Question(name="free", text="请描述画面。")
    _, answer = judged(server, sampling, TWO_TOKENS, lambda judge: judge.ask(Pictures(window()), free))
    assert (answer.question, answer.cause) == ("free", Cause.WORDS_ONLY) and answer.text
    assert answer.label is None and answer.probabilities == {}


def test_the_server_splits_words_behind_the_prompt_as_alone(server: RunningServer) -> None:
    async def run() -> tuple[object, object]:
        async with EndpointHttp(server.endpoint(), deadline_s=HANG_S) as http:
            alone = await http.post(f"{server.root}/tokenize", {"model": server.model, "prompt": "是的"})
            asked = [{"role": "user", "content": "?"}]
            before = await http.post(f"{server.root}/tokenize", {"model": server.model, "messages": asked})
            body = {"model": server.model, "messages": answer_begun(asked, "是的，")} | CONTINUED
            whole = await http.post(f"{server.root}/tokenize", body)
            ids = alone.json()["tokens"]
            start = len(before.json()["tokens"])
            return ids, whole.json()["tokens"][start : start + len(ids)]

    alone, behind = asyncio.run(run())
    assert alone == behind
