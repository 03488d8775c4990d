from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from vigil.errors import UsageError
from vigil.events import EventChange, Tier, TierThresholds
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

RULES = HysteresisSettings()


def judged(window: int, p: float | None, *, text: str | None = None, captured_s: float | None = None) -> JudgedWindow:
    """Windows of the default sampling: 2.5 s from the first frame to the last, one every 2 s."""
    start_s, end_s = window * 2.0, window * 2.0 + 2.5
    if p is None:
        verdict = Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=end_s)
    else:
        outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=p, text=text, start_s=start_s, end_s=end_s, latency_ms=300.0)
    return JudgedWindow(source="door", window=window, verdict=verdict, captured_s=captured_s)


def rest(window: int, p: float | None) -> JudgedWindow:
    """A window at the end of a run, most of whose frames the one before it has shown too."""
    full = judged(window, p)
    times = {"start_s": full.start_s - 1.5, "end_s": full.end_s - 1.5}
    return replace(full, verdict=replace(full.verdict, **times), rest=True)


def tracker(rules: HysteresisSettings = RULES, *, clock: Callable[[], float] = lambda: 0.0) -> HysteresisRule:
    return HysteresisRule(rules, source="door", task="fight", model="m", clock=clock)


def push_all(tracked: HysteresisRule, probabilities: Sequence[float | None]) -> list[EventChange]:
    return [change for i, p in enumerate(probabilities) for change in tracked.push(judged(i, p))]


def kinds(changes: Sequence[EventChange]) -> list[str]:
    return [change.kind for change in changes]


def test_one_window_over_the_threshold_is_no_event_but_two_of_three_are() -> None:
    assert push_all(tracker(), [0.1, 0.9, 0.1, 0.1, 0.9, 0.1]) == []
    opened = push_all(tracker(), [0.1, 0.9, 0.1, 0.8])
    assert kinds(opened) == ["opened"]
    event = opened[0].event
    assert (event.onset_s, event.peak, event.peak_s, event.tier) == (2.0, 0.9, 3.25, Tier.MEDIUM)
    assert [e.window for e in event.windows] == [1, 2, 3] and event.is_open


def test_a_known_quiet_time_closes_it_and_it_ends_with_its_last_window() -> None:
    changes = push_all(tracker(), [0.9, 0.9, 0.6, 0.2, 0.2, 0.2])
    assert kinds(changes) == ["opened", "grew", "closed"]
    event = changes[-1].event
    assert (event.onset_s, event.end_s, event.closed_because) == (0.0, 6.5, "quiet")
    assert [e.window for e in event.windows] == [0, 1, 2]


def test_a_lull_does_not_break_an_incident_in_two_and_its_windows_belong_to_it() -> None:
    changes = push_all(tracker(), [0.8, 0.8, 0.2, 0.2, 0.55, 0.2, 0.2, 0.2])
    assert kinds(changes) == ["opened", "grew", "closed"]
    assert [e.window for e in changes[-1].event.windows] == [0, 1, 2, 3, 4]


def test_a_higher_tier_raises_the_event_and_a_lower_one_leaves_it() -> None:
    changes = push_all(tracker(), [0.76, 0.8, 0.86, 0.95, 0.8])
    assert kinds(changes) == ["opened", "raised", "raised", "grew"]
    assert [change.event.tier for change in changes] == [Tier.LOW, Tier.MEDIUM, Tier.HIGH, Tier.HIGH]


def test_unknown_verdicts_neither_open_nor_close_nor_count_among_the_last_n() -> None:
    changes = push_all(tracker(), [0.9, None, None, None, 0.9, None, None, None, None, None, None])
    assert kinds(changes) == ["opened"]
    assert [e.p_alarm for e in changes[0].event.windows] == [0.9, None, None, None, 0.9]


def test_an_event_nobody_can_see_any_more_is_closed_as_lost_from_sight() -> None:
    changes = push_all(tracker(), [0.9, 0.9, *[None] * 40])
    assert kinds(changes) == ["opened", "closed"]
    assert (changes[1].event.closed_because, changes[1].event.end_s) == ("lost sight", 4.5)


def test_time_alone_loses_sight_of_an_event_when_no_window_comes() -> None:
    tracked = tracker()
    push_all(tracked, [0.9, 0.9])
    assert tracked.tick(64.0) == []
    assert kinds(tracked.tick(64.5)) == ["closed"] and tracked.tick(1000.0) == []


def test_a_window_after_a_long_gap_starts_afresh() -> None:
    tracked = tracker()
    push_all(tracked, [0.9, 0.9])
    assert kinds(tracked.push(judged(100, 0.9))) == ["closed"]
    assert tracked.open_event is None
    assert kinds(tracked.push(judged(101, 0.9))) == ["opened"]
    assert tracked.open_event is not None and tracked.open_event.onset_s == 200.0


def test_windows_dropped_by_a_slow_server_still_make_an_event_and_quiet_is_only_what_was_seen() -> None:
    sparse = [p for known in (0.9, 0.9, 0.1, 0.1, 0.1) for p in (known, None, None, None, None)]
    tracked = tracker()
    changes = push_all(tracked, sparse)
    assert kinds(changes) == ["opened", "closed"] and changes[0].event.onset_s == 0.0


def test_an_endless_event_is_split_and_the_next_opens_as_any_does() -> None:
    rules = HysteresisSettings(max_event_s=60.0)
    changes = push_all(tracker(rules), [0.9] * 60)
    closed = [change.event for change in changes if change.kind == "closed"]
    assert [round((e.end_s or 0) - e.onset_s, 1) for e in closed] == [58.5, 58.5]
    assert closed[0].closed_because.startswith("split") and kinds(changes).count("opened") == 3


def test_a_clip_of_one_window_is_judged_at_its_end() -> None:
    tracked = tracker()
    assert tracked.push(judged(0, 0.9)) == []
    changes = tracked.finish("end of file")
    assert kinds(changes) == ["opened", "closed"]
    assert (changes[1].event.end_s, changes[1].event.closed_because) == (2.5, "end of file")
    assert changes[0].event.announced_s == pytest.approx(2.8)
    assert tracked.finish("again") == []


@pytest.mark.parametrize("probabilities", [[0.7], [None], [], [0.9, 0.1], [0.9, None]])
def test_a_short_source_without_an_alarm_throughout_makes_no_event(probabilities: list[float | None]) -> None:
    tracked = tracker()
    push_all(tracked, probabilities)
    assert tracked.finish("end of file") == []


def test_an_alarm_without_probabilities_counts_as_low() -> None:
    tracked = tracker()
    for window in range(2):
        word = Verdict(outcome=Outcome.ALARM, start_s=window * 2.0, end_s=window * 2.0 + 2.5)
        changes = tracked.push(JudgedWindow(source="door", window=window, verdict=word))
    assert kinds(changes) == ["opened"] and changes[0].event.tier is Tier.LOW


def test_a_probability_that_is_no_number_is_unknown() -> None:
    assert push_all(tracker(), [float("nan")] * 5) == []


def test_the_words_of_the_surest_window_win_whenever_they_come() -> None:
    tracked = tracker()
    tracked.push(judged(0, 0.8, text="one"))
    opened = tracked.push(judged(1, 0.9))
    assert opened[0].event.text == "one"
    assert tracked.describe(1, "two")[0].event.text == "two"
    assert tracked.describe(0, "less sure") == [] and tracked.describe(99, "nobody's") == []
    closed = tracked.finish("stopped")[0].event
    assert closed.text == "two"
    late = tracked.describe(1, "two, at length")
    assert kinds(late) == ["grew"] and late[0].event.end_s == closed.end_s and late[0].event.id == closed.id


def test_words_that_come_before_their_window_joins_are_kept_for_it() -> None:
    tracked = tracker()
    tracked.describe(0, "early")
    changes = push_all(tracked, [0.9, 0.8])
    assert changes[0].event.text == "early"


def test_a_live_event_is_announced_at_its_last_frame_plus_the_time_since_its_capture() -> None:
    tracked = tracker(clock=lambda: 1000.75)
    tracked.push(judged(0, 0.9, captured_s=998.0))
    opened = tracked.push(judged(1, 0.9, captured_s=1000.0))
    assert opened[0].event.announced_s == pytest.approx(4.5 + 0.75)


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"k": 4},
        {"n": 1000},
        {"keep_from": 0.8},
        {"keep_from": 0.0},
        {"quiet_s": 0},
        {"unknown_timeout_s": 1},
        {"max_event_s": 1},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        HysteresisSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="tiers must rise"):
        TierThresholds(low=0.9, medium=0.8)


def test_a_rest_window_opens_no_event_and_may_extend_one() -> None:
    tracked = tracker()
    assert push_all(tracked, [0.1, 0.1, 0.9]) == []
    assert tracked.push(rest(3, 0.95)) == [] and tracked.finish("the source ended") == []
    tracked = tracker()
    assert kinds(push_all(tracked, [0.1, 0.9, 0.9])) == ["opened"]
    [grown] = tracked.push(rest(3, 0.91))
    assert grown.event.windows[-1].window == 3 and grown.event.peak == 0.91


def test_a_rest_window_is_no_vote_in_the_next_run_either() -> None:
    tracked = tracker()
    assert push_all(tracked, [0.1, 0.1]) == [] and tracked.push(rest(2, 0.9)) == []
    assert tracked.push(judged(3, 0.9)) == []
    assert kinds(tracked.push(judged(4, 0.9))) == ["opened"]


def test_with_one_vote_of_one_a_rest_window_opens_nothing_either() -> None:
    tracked = tracker(HysteresisSettings(k=1, n=1))
    assert push_all(tracked, [0.1, 0.1]) == [] and tracked.push(rest(2, 0.99)) == []


@pytest.mark.parametrize(("last", "found"), [(0.9, ["opened", "closed"]), (0.1, [])])
def test_a_clip_of_one_window_and_a_rest_is_a_short_clip(last: float, found: list[str]) -> None:
    tracked = tracker()
    assert tracked.push(judged(0, 0.9)) == [] and tracked.push(rest(1, last)) == []
    assert kinds(tracked.finish("the source ended")) == found
