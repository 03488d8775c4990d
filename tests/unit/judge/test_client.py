import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from judging import connect, no, yes
from pace import PACE
from scripted_server import Reply, ScriptedServer, chat, error, stream
from vigil.judge import Judge
from vigil.judge.answer import Words, word_at_start
from vigil.manifest import Calibration
from vigil.verdict import Cause, Outcome, Verdict

ALARM_LOGPROBS = {"token_id:7": -0.1, "token_id:9": -3.0}
NORMAL_LOGPROBS = {"token_id:9": -0.1, "token_id:7": -3.0}


def ask(server: ScriptedServer, question: Callable[[Judge], Awaitable[Verdict]], **settings: Any) -> Verdict:
    async def run() -> Verdict:
        async with await connect(server, **settings) as judge:
            return await question(judge)

    return asyncio.run(run())


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
        (Reply(body=yes().body, delay_s=5.0), Cause.TIMEOUT),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else "",
)
def test_a_fault_is_unknown_with_its_cause_and_never_normal(
    server: ScriptedServer, jpegs: list[bytes], reply: Reply, cause: Cause
) -> None:
    server.default = reply
    verdict = ask(server, lambda judge: judge.verdict(jpegs), deadline_s=0.5)
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


def test_too_little_mass_on_the_two_words_is_unknown_when_asked_for(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = chat("x", logprobs={"token_id:7": -8.0, "token_id:9": -9.0})
    assert ask(server, lambda judge: judge.verdict(jpegs), min_mass=0.05).cause is Cause.OUTSIDE
    assert ask(server, lambda judge: judge.verdict(jpegs)).outcome is Outcome.ALARM


def test_no_more_requests_are_in_flight_than_allowed(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = Reply(body=yes().body, delay_s=0.02)

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
    assert ask(server, lambda judge: judge.verdict(jpegs)).p_alarm == pytest.approx(p_alarm)


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
    words = Words(texts={"alarm": "是的", "normal": "没有"})
    assert [word_at_start(text, words) for text in ("是的有人打架", "没有人打架", "是")] == ["alarm", "normal", None]


def test_an_alarm_is_told_at_the_first_token_and_then_described(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("Yes", ", two", " fight", logprobs=ALARM_LOGPROBS)
    told: list[str] = []

    def on_verdict(verdict: Verdict) -> None:
        told.append(verdict.outcome)

    verdict = ask(server, lambda judge: judge.describe(jpegs, on_verdict=on_verdict, on_text=told.append))
    assert told == ["Yes", "alarm", ", two", " fight"]
    assert (verdict.outcome, verdict.text, verdict.detail) == (Outcome.ALARM, "Yes, two fight", "")


def test_a_normal_answer_is_cut_off_at_its_first_token(server: ScriptedServer, jpegs: list[bytes]) -> None:
    server.default = stream("No", *[" word"] * 50, logprobs=NORMAL_LOGPROBS, event_delay_s=0.05)
    verdict = ask(server, lambda judge: judge.describe(jpegs), deadline_s=2.0)
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
    server.default = stream("Yes", *[" word"] * pieces, logprobs=ALARM_LOGPROBS, event_delay_s=0.3 * PACE)
    verdict = ask(server, lambda judge: judge.describe(jpegs), deadline_s=1.0 * PACE)
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
