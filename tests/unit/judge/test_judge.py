import asyncio
import logging
import math
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from judging import IDS, connect, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer, chat, error, stream
from vigil.judge import Judge
from vigil.judge.answer_parser import LabelTokens, label_at_start
from vigil.manifest import Calibration
from vigil.questions import Question
from vigil.verdict import Cause, Outcome, Verdict
from waiting import HANG_S, SkippingLoop, until

ALARM_LOGPROBS = {"token_id:7": -0.1, "token_id:9": -3.0}
NORMAL_LOGPROBS = {"token_id:9": -0.1, "token_id:7": -3.0}


def ask(server: ScriptedServer, question: Callable[[Judge], Awaitable[Verdict]], **settings: Any) -> Verdict:
    async def run() -> Verdict:
        async with await connect(server, **settings) as judge:
            return await question(judge)

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        server.let_pass = runner.get_loop().skip  # type: ignore[attr-defined]
        return runner.run(run())


def test_a_verdict_is_read_from_the_first_token(server: ScriptedServer, jpegs: list[bytes]) -> None:
    verdict = ask(server, lambda judge: judge.verdict(jpegs, start_s=2.0, end_s=4.5))
    assert verdict.outcome is Outcome.ALARM
    assert verdict.p_alarm == pytest.approx(1 / (1 + math.exp(-2.9)))
    assert verdict.p_outside == pytest.approx(1 - math.exp(-0.1) - math.exp(-3.0))
    assert (verdict.start_s, verdict.end_s) == (2.0, 4.5) and verdict.latency_ms > 0


def test_the_request_costs_one_token_and_shows_one_video(server: ScriptedServer, jpegs: list[bytes]) -> None:
    ask(server, lambda judge: judge.verdict(jpegs))
    request = server.chats[-1]
    assert (request.body["max_tokens"], request.body["temperature"]) == (1, 0.0)
    assert request.body["logprob_token_ids"] == [7, 9]
    video, question = request.parts
    assert video["video_url"]["url"].startswith("data:video/jpeg;base64,/9j/")
    assert video["video_url"]["url"].count(",") == 6
    assert question["text"] == "Is there a fight?"


def test_images_carry_their_times(server: ScriptedServer, jpegs: list[bytes]) -> None:
    ask(server, lambda judge: judge.verdict(jpegs), media="images")
    parts = server.chats[-1].parts
    assert [p["text"] for p in parts if p["type"] == "text"][:3] == ["<0.0 seconds>", "<0.5 seconds>", "<1.0 seconds>"]
    assert sum(p["type"] == "image_url" for p in parts) == 6


def test_a_temperature_moves_the_probability_not_the_reading(server: ScriptedServer, jpegs: list[bytes]) -> None:
    calibration = Calibration(temperature=2.0, bias=-3.0)
    verdict = ask(server, lambda judge: judge.verdict(jpegs), calibration=calibration)
    assert verdict.p_alarm == pytest.approx(1 / (1 + math.exp(-(2.9 / 2 - 3.0))))
    assert verdict.outcome is Outcome.NORMAL and verdict.p_raw == pytest.approx(1 / (1 + math.exp(-2.9)))


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(400, "bad"), Cause.REJECTED),
        (error(401, "key"), Cause.UNAUTHORIZED),
        (error(429, "slow down"), Cause.RATE_LIMITED),
        (error(500, "oops"), Cause.SERVER_ERROR),
        (error(503, "busy"), Cause.SERVER_ERROR),
        (Reply(body=b"<html>garbage</html>"), Cause.UNPARSEABLE),
        (Reply(body={"choices": []}), Cause.UNPARSEABLE),
        (Reply(body={"unexpected": 1}), Cause.UNPARSEABLE),
        (Reply(hang_up=True), Cause.UNREACHABLE),
        (chat("Perhaps."), Cause.UNPARSEABLE),
        (yes(1000.0), Cause.UNPARSEABLE),
        (Reply(body=yes().body | {"usage": {"total_tokens": "many"}}), Cause.UNPARSEABLE),
        (Reply(body=yes().body, delay_s=1001.0), Cause.TIMEOUT),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else "",
)
def test_a_fault_is_unknown_with_its_cause_and_never_normal(
    server: ScriptedServer, jpegs: list[bytes], reply: Reply, cause: Cause
) -> None:
    server.default = reply
    verdict = ask(server, lambda judge: judge.verdict(jpegs), deadline_s=1000.0)
    assert (verdict.outcome, verdict.cause, verdict.p_alarm) == (Outcome.UNKNOWN, cause, None)


def test_a_log_probability_above_0_is_none_also_among_the_likeliest_tokens(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    del server.routes["/tokenize"]
    server.default = chat("Yes", logprobs={"Yes": 1000.0, "No": -1.0})
    assert ask(server, lambda judge: judge.verdict(jpegs)).cause is Cause.UNPARSEABLE
    server.default = chat("Yes", logprobs={"Yes": 1e-6, "No": -9999.0})
    assert ask(server, lambda judge: judge.verdict(jpegs)).p_alarm == pytest.approx(1.0)


def test_a_refusal_that_passes_is_asked_again(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.queue(error(503, "busy"), no())
    assert ask(server, lambda judge: judge.verdict(jpegs), retries=1).outcome is Outcome.NORMAL


@pytest.mark.parametrize(("alarm", "normal"), [(-8.0, -9.0), (-20.0, -19.0), (math.log(0.3), math.log(0.19))])
def test_too_little_mass_on_the_words_is_unknown(
    server: ScriptedServer, jpegs: list[bytes], alarm: float, normal: float
) -> None:
    server.default = chat("x", logprobs={"token_id:7": alarm, "token_id:9": normal})
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    assert (verdict.cause, verdict.p_alarm) == (Cause.OUTSIDE, None) and "% of the probability" in verdict.detail
    assert ask(server, lambda judge: judge.verdict(jpegs), min_label_probability=0.0).cause is None


def test_no_more_requests_are_in_flight_than_allowed(server: ScriptedServer, jpegs: list[bytes]) -> None:
    def together(request: Request) -> Reply:
        until(lambda: server.max_in_flight >= 3)
        return yes()

    server.default = together

    async def run() -> None:
        async with await connect(server, max_in_flight=3) as judge:
            await asyncio.gather(*(judge.verdict(jpegs) for _ in range(12)))

    asyncio.run(run())
    assert server.max_in_flight == 3


def test_a_server_without_tokenize_is_read_by_its_likeliest_words(server: ScriptedServer, jpegs: list[bytes]) -> None:
    del server.routes["/tokenize"]
    server.default = chat("No", logprobs={"No": -0.2, " Yes": -2.2, "Ye": -4.2, "Hm": -5.0})
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    odds = (math.exp(-2.2) + math.exp(-4.2)) / math.exp(-0.2)
    assert verdict.p_alarm == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize(
    ("logprobs", "p_alarm"),
    [
        ({"Yes": math.log(0.3), "The": math.log(0.4), "A": math.log(0.1)}, 0.75),
        ({"Yes": math.log(0.97), "The": math.log(0.02)}, 0.97 / 0.98),
        ({"Yes": math.log(0.4)}, 0.5),
        ({"No": math.log(0.9)}, 0.1),
    ],
)
def test_a_word_that_is_not_among_the_likeliest_counts_as_much_as_it_can_be(
    server: ScriptedServer, jpegs: list[bytes], logprobs: dict[str, float], p_alarm: float
) -> None:
    del server.routes["/tokenize"]
    server.default = chat("The", logprobs=logprobs)
    assert ask(server, lambda judge: judge.verdict(jpegs), min_label_probability=0.0).p_alarm == pytest.approx(p_alarm)


def test_a_server_without_probabilities_decides_by_the_word_and_claims_no_p(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    del server.routes["/tokenize"]
    server.default = chat("**Yes**, two people fight.")
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    assert (verdict.outcome, verdict.p_alarm) == (Outcome.ALARM, None)


@pytest.mark.parametrize(
    "text",
    ["Now a man punches another.", "Not sure, it is dark.", "Nobody can tell.", "Nothing is visible.", "Yesterday"],
)
def test_a_word_that_only_begins_like_a_verdict_is_none(server: ScriptedServer, jpegs: list[bytes], text: str) -> None:
    del server.routes["/tokenize"]
    server.default = chat(text)
    assert ask(server, lambda judge: judge.verdict(jpegs)).cause is Cause.UNPARSEABLE
    server.default = stream(text[:2], text[2:4], text[4:])
    assert ask(server, lambda judge: judge.describe(jpegs)).cause is Cause.UNPARSEABLE
    server.default = chat(text, logprobs={text.split()[0]: -0.1, "Hm": -3.0})
    assert ask(server, lambda judge: judge.verdict(jpegs)).cause is Cause.UNPARSEABLE


def test_tokens_that_go_on_after_the_verdict_word_still_count(server: ScriptedServer, jpegs: list[bytes]) -> None:
    del server.routes["/tokenize"]
    server.default = chat("No, calm", logprobs={"No,": -0.2, "Now": -1.0, "Yes": -2.2})
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    assert verdict.p_alarm == pytest.approx(1 / (1 + math.exp(2.0)))


def test_a_chinese_verdict_needs_no_space_behind_it() -> None:
    words = LabelTokens(texts={"alarm": "是的", "normal": "没有"})
    assert [label_at_start(text, words) for text in ("是的有人打架", "没有人打架", "是")] == ["alarm", "normal", None]


def test_an_alarm_is_told_at_the_first_token_and_then_described(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("Yes", ", two", " fight", logprobs=ALARM_LOGPROBS)
    told: list[str] = []

    def on_verdict(verdict: Verdict) -> None:
        told.append(verdict.outcome)

    verdict = ask(server, lambda judge: judge.describe(jpegs, on_verdict=on_verdict, on_text=told.append))
    assert told == ["Yes", "alarm", ", two", " fight"]
    assert (verdict.outcome, verdict.text, verdict.detail) == (Outcome.ALARM, "Yes, two fight", "")


def test_a_normal_answer_is_cut_off_at_its_first_token(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("No", *[" word"] * 50, logprobs=NORMAL_LOGPROBS, event_delay_s=50.0)
    verdict = ask(server, lambda judge: judge.describe(jpegs), deadline_s=1000.0)
    assert (verdict.outcome, verdict.text) == (Outcome.NORMAL, "No")


def test_a_normal_answer_is_put_into_words_when_asked_for(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("No", ", calm", logprobs=NORMAL_LOGPROBS)
    verdict = ask(server, lambda judge: judge.describe(jpegs, describe_normal=True))
    assert verdict.text == "No, calm"


def test_words_that_break_off_do_not_undo_the_alarm(server: ScriptedServer, jpegs: list[bytes]) -> None:
    whole = stream("Yes", ", two", logprobs=ALARM_LOGPROBS)
    assert whole.events is not None
    server.default = Reply(events=whole.events[:3], hang_up=True)
    verdict = ask(server, lambda judge: judge.describe(jpegs))
    assert (verdict.outcome, verdict.text) == (Outcome.ALARM, "Yes, two")
    assert "broke off" in verdict.detail


@pytest.mark.parametrize(("pieces", "whole"), [(5, True), (40, False)])
def test_words_that_flow_may_take_longer_than_a_verdict_but_not_for_ever(
    server: ScriptedServer, jpegs: list[bytes], pieces: int, whole: bool
) -> None:
    server.default = stream("Yes", *[" word"] * pieces, logprobs=ALARM_LOGPROBS, event_delay_s=200.0)
    verdict = ask(server, lambda judge: judge.describe(jpegs), deadline_s=1000.0)
    assert verdict.outcome is Outcome.ALARM and (verdict.text or "").startswith("Yes word word word")
    assert ("broke off" not in verdict.detail) == ((verdict.text or "").count(" word") == pieces) == whole


def test_a_stream_that_ends_before_its_first_token_is_unknown(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = Reply(events=(), hang_up=True)
    assert ask(server, lambda judge: judge.describe(jpegs)).outcome is Outcome.UNKNOWN


def test_a_stream_without_probabilities_is_read_by_its_word(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("N", "o", ", calm")
    verdict = ask(server, lambda judge: judge.describe(jpegs))
    assert (verdict.outcome, verdict.p_alarm) == (Outcome.NORMAL, None)


def test_a_stream_of_other_words_is_unparseable(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("I", " cannot", " tell")
    assert ask(server, lambda judge: judge.describe(jpegs)).cause is Cause.UNPARSEABLE


@pytest.mark.parametrize("describe_normal", [False, True])
def test_a_description_that_a_proxy_holds_back_to_its_end_is_not_lost(
    server: ScriptedServer, jpegs: list[bytes], describe_normal: bool
) -> None:
    told: list[Verdict] = []

    def held(request: Request) -> Reply:
        if not request.body.get("stream"):
            return yes()
        # Half the deadline, after which the verdict is asked for beside it, then twice as much again and more.
        server.wait(500.0)
        until(lambda: told or describe_normal)
        server.wait(1100.0)
        return stream("Yes", *[" word"] * 17, logprobs=ALARM_LOGPROBS)

    server.default = held
    verdict = ask(
        server,
        lambda judge: judge.describe(jpegs, describe_normal=describe_normal, on_verdict=told.append),
        deadline_s=1000.0,
    )
    assert (verdict.outcome, verdict.detail) == (Outcome.ALARM, "") and len(told) == 1
    assert (verdict.text or "").count("word") == 17


def test_the_verdict_of_a_stream_that_is_held_back_keeps_its_deadline(
    server: ScriptedServer, jpegs: list[bytes]
) -> None:
    over = threading.Event()

    def held(request: Request) -> Reply:
        if not request.body.get("stream"):
            return no()
        server.wait(900.0)
        assert over.wait(HANG_S), "the stream was waited for"
        return stream("No", ", calm", logprobs=NORMAL_LOGPROBS)

    server.default = held
    verdict = ask(server, lambda judge: judge.describe(jpegs), deadline_s=1000.0)
    over.set()
    assert verdict.outcome is Outcome.NORMAL and len(server.chats) == 2


@pytest.mark.parametrize("way", ["ids", "top"])
def test_a_word_that_contradicts_its_probabilities_is_unknown(
    server: ScriptedServer, jpegs: list[bytes], way: str
) -> None:
    names = ("token_id:7", "token_id:9") if way == "ids" else ("Yes", "No")
    told = dict(zip(names, (-0.3, -1.5), strict=True))
    if way == "top":
        del server.routes["/tokenize"]
    server.default = chat("No", logprobs=told)
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    assert (verdict.cause, verdict.p_alarm) == (Cause.CONTRADICTORY, None)
    assert "'No'" in verdict.detail and "0.77" in verdict.detail
    server.default = stream("No", ", calm", logprobs=told)
    assert ask(server, lambda judge: judge.describe(jpegs)).cause is Cause.CONTRADICTORY
    server.default = chat("Yes", logprobs=told)
    assert ask(server, lambda judge: judge.verdict(jpegs)).outcome is Outcome.ALARM


def test_two_words_that_are_as_likely_contradict_nothing(server: ScriptedServer, jpegs: list[bytes]) -> None:
    for word in ("Yes", "No"):
        server.default = chat(word, logprobs={"token_id:7": -0.69, "token_id:9": -0.7})
        assert ask(server, lambda judge: judge.verdict(jpegs)).cause is None


def test_words_that_differ_only_in_case_are_one_word(server: ScriptedServer, jpegs: list[bytes]) -> None:
    """The tokens of yes, YES and a leading space are asked for, too, and count for Yes."""
    spelt = IDS | {"yes": [11], "YES": [12], " Yes": [13], " yes": [14, 15], "no": [9], " NO": [12]}
    server.routes["/tokenize"] = tokenized(spelt)
    told = {"token_id:11": 0.6, "token_id:7": 0.1, "token_id:13": 0.1, "token_id:9": 0.1}
    server.default = chat("yes", logprobs={token: math.log(share) for token, share in told.items()})
    verdict = ask(server, lambda judge: judge.verdict(jpegs))
    assert (verdict.p_alarm, verdict.p_outside) == (pytest.approx(8 / 9), pytest.approx(0.1))
    # 12 would be YES and NO at once, and 9 is No's own; a spelling of two tokens has no probability of its own.
    assert server.chats[-1].body["logprob_token_ids"] == [7, 9, 11, 13]


def test_case_is_folded_among_the_likeliest_words_too(server: ScriptedServer, jpegs: list[bytes]) -> None:
    del server.routes["/tokenize"]
    told = {"YES": 0.5, " yes": 0.2, "no": 0.2}
    server.default = chat("YES", logprobs={token: math.log(share) for token, share in told.items()})
    assert ask(server, lambda judge: judge.verdict(jpegs)).p_alarm == pytest.approx(7 / 9)


def test_case_tells_words_apart_that_are_the_same_but_for_it(server: ScriptedServer, jpegs: list[bytes]) -> None:
    task = Question.with_two_labels(name="t", text="?", alarm_word="US", normal_word="us")
    ids = {"US": [7], "us": [9], " us": [30], " US": [31]}
    server.routes["/tokenize"] = tokenized(ids)
    server.default = chat("us", logprobs={"token_id:9": -0.1, "token_id:7": -3.0})
    verdict = ask(server, lambda judge: judge.verdict(jpegs), task=task)
    assert (verdict.outcome, server.chats[-1].body["logprob_token_ids"]) == (Outcome.NORMAL, [7, 9])
    assert label_at_start("us, here", LabelTokens(texts={"alarm": "US", "normal": "us"})) == "normal"


NGINX_413 = (
    b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n<center>"
    b"<h1>413 Request Entity Too Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
NGINX_502 = NGINX_413.replace(b"413 Request Entity Too Large", b"502 Bad Gateway")
HTML = {"Content-Type": "text/html"}


def test_a_body_limit_of_a_proxy_is_told_once_with_what_to_do(
    server: ScriptedServer, jpegs: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    server.default = Reply(status=413, body=NGINX_413, headers=HTML)

    async def several(judge: Judge) -> Verdict:
        return [await judge.verdict(jpegs), *(await asyncio.gather(*(judge.verdict(jpegs) for _ in range(8))))][-1]

    with caplog.at_level(logging.INFO):
        verdict = ask(server, several)
    assert verdict.cause is Cause.REJECTED and "body limit" in verdict.detail
    [told] = [record.message for record in caplog.records if "body limit" in record.message]
    assert "client_max_body_size" in told and "<" not in caplog.text.replace("<module>", "")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(status=502, body=NGINX_502, headers=HTML), "502 Bad Gateway"),
        (Reply(status=403, body=b"<!DOCTYPE html><title>Sign in</title><p>x", headers=HTML), "Sign in"),
        (Reply(body=b"<!doctype html>\n<html><body><p>Maintenance</p></body></html>", headers=HTML), "Maintenance"),
        (Reply(body=b"<html><head><style>b{}</style></head><body>Hello &amp; bye</body></html>"), "Hello & bye"),
    ],
)
def test_a_page_of_a_proxy_is_told_by_its_title_and_not_by_its_html(
    server: ScriptedServer, jpegs: list[bytes], reply: Reply, words: str
) -> None:
    server.default = reply
    for question in (lambda judge: judge.verdict(jpegs), lambda judge: judge.describe(jpegs)):
        verdict = ask(server, question)
        assert words in verdict.detail and "<" not in verdict.detail
