"""The count rule: so many incidents within a time, also against a slow reference."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.errors import UsageError
from vigil.events import EventChange, Tier
from vigil.rules import CountRule, CountSettings
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

UNREST = CountSettings(name="unrest", times=3, within_s=60.0, gap_s=4.0, unknown_timeout_s=30.0, max_event_s=200.0)


def window(number: int, holds: bool | None) -> JudgedWindow:
    start_s, end_s = number * 2.0, number * 2.0 + 2.5
    if holds is None:
        verdict = Verdict.unknown(Cause.DROPPED, start_s=start_s, end_s=end_s)
    else:
        outcome = Outcome.ALARM if holds else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=0.9 if holds else 0.1, start_s=start_s, end_s=end_s)
    return JudgedWindow(source="yard", window=number, verdict=verdict)


def changes_of(run: list[bool | None], settings: CountSettings = UNREST) -> list[EventChange]:
    rule = CountRule(settings, source="yard", task="fight", clock=lambda: 0.0)
    told = [change for i, holds in enumerate(run) for change in rule.push(window(i, holds))]
    told += rule.finish("stopped")
    assert rule.finish("stopped") == [] and rule.open_events == ()
    return told


def story(changes: list[EventChange]) -> list[tuple[str, float, float | None, str]]:
    return [
        (each.kind, each.event.onset_s, each.event.end_s, each.event.closed_because)
        for each in changes
        if each.kind in ("opened", "closed")
    ]


ONCE: list[bool | None] = [True, False, False, False]
CALM: list[bool | None] = [False] * 40


def test_the_third_incident_opens_an_event_that_began_with_the_first_and_ends_when_there_are_fewer() -> None:
    changes = changes_of([*ONCE * 3, *CALM])
    assert story(changes) == [("opened", 0.0, None, ""), ("closed", 0.0, 18.5, "quiet")]
    opened = changes[0].event
    assert [evidence.window for evidence in opened.windows] == [0, 4, 8]
    assert (opened.tier, opened.rule, opened.peak) == (Tier.MEDIUM, "unrest", 0.9)


@pytest.mark.parametrize(
    "run",
    [[*ONCE * 2, *CALM], [True] * 20, [True, False] * 10, [*ONCE, *[False] * 20, *ONCE, *[False] * 20, *ONCE]],
    ids=["too few", "one that lasts", "gaps too short", "too far apart"],
)
def test_fewer_incidents_open_nothing(run: list[bool | None]) -> None:
    assert story(changes_of(run)) == []


def test_what_nobody_sees_neither_begins_nor_ends_an_incident() -> None:
    assert story(changes_of([True, None, None, None, True, None, None, True])) == []
    assert story(changes_of([*ONCE, *ONCE, None, None, True]))[0] == ("opened", 0.0, None, "")


def test_an_event_that_is_lost_from_sight_or_too_long_is_closed_and_counts_anew() -> None:
    assert story(changes_of([*ONCE * 3, *[None] * 20]))[-1] == ("closed", 0.0, 18.5, "lost sight")
    told = story(changes_of(ONCE * 40, replace(UNREST, max_event_s=40.0)))
    assert [because for kind, *_, because in told if kind == "closed"][:2] == ["split after max_event_s"] * 2
    assert told[2][1] - told[1][1] >= 40.0


def test_time_alone_closes_it_and_what_is_suspended_forgets() -> None:
    rule = CountRule(UNREST, source="yard")
    for i, holds in enumerate(ONCE * 3):
        rule.push(window(i, holds))
    assert rule.tick(24.6) == [] and len(rule.open_events) == 1
    [closed] = rule.tick(60.0)
    assert closed.event.closed_because == "lost sight"
    assert rule.suspend("the schedule ended") == []
    assert rule.push(window(40, True)) == []


def test_other_settings_take_effect_and_words_describe_it() -> None:
    rule = CountRule(UNREST, source="yard")
    rule.change_to(replace(UNREST, times=2))
    changes = [change for i, holds in enumerate(ONCE * 2) for change in rule.push(window(i, holds))]
    assert [change.kind for change in changes] == ["opened"]
    [told] = rule.describe(4, "two men fight")
    assert told.event.text == "two men fight"


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"times": 1}, {"times": 10_000}, {"within_s": 0.0}, {"gap_s": 0.0}, {"p_from": 0.0}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(UNREST, **wrong)  # type: ignore[arg-type]


def incidents(run: list[bool | None], made: list[JudgedWindow], gap_s: float) -> list[int]:
    """The windows with which incidents begin, found from the definition."""
    begins: list[int] = []
    last: int | None = None
    for i, holds in enumerate(run):
        if not holds:
            continue
        off = [j for j in range((-1 if last is None else last) + 1, i) if run[j] is False]
        if last is None or seconds_new(run, made, off) >= gap_s:
            begins.append(i)
        last = i
    return begins


def seconds_new(run: list[bool | None], made: list[JudgedWindow], some: list[int]) -> float:
    new_s = 0.0
    for j in some:
        before_s = max((made[k].end_s for k in range(j) if run[k] is not None), default=0.0)
        new_s += max(0.0, made[j].end_s - max(made[j].start_s, before_s))
    return new_s


@given(
    st.lists(st.sampled_from([True, False, False, False, None]), max_size=80),
    st.sampled_from([2, 3]),
    st.sampled_from([10.0, 30.0]),
)
@example([*ONCE * 3, *CALM], 3, 30.0)
def test_an_event_opens_just_where_so_many_incidents_began_within_the_time(
    run: list[bool | None], times: int, within_s: float
) -> None:
    settings = replace(UNREST, times=times, within_s=within_s, max_event_s=10_000.0, unknown_timeout_s=10_000.0)
    made = [window(i, holds) for i, holds in enumerate(run)]
    begins = incidents(run, made, settings.gap_s)
    expected: list[tuple[str, float]] = []
    is_open = False
    for i, holds in enumerate(run):
        now_s = made[i].end_s if holds is None else made[i].start_s
        before = [j for j in begins if j < i and made[j].start_s > now_s - within_s]
        if is_open and len(before) < times:
            expected.append(("closed", now_s))
            is_open = False
        counted = [j for j in begins if j <= i and made[j].start_s > now_s - within_s]
        if holds and not is_open and len(counted) >= times:
            expected.append(("opened", made[counted[0]].start_s))
            is_open = True
    rule = CountRule(settings, source="yard", clock=lambda: 0.0)
    found: list[tuple[str, float]] = []
    for judged, holds in zip(made, run, strict=True):
        now_s = judged.end_s if holds is None else judged.start_s
        for change in rule.push(judged):
            if change.kind == "closed":
                found.append(("closed", now_s))
            elif change.kind == "opened":
                found.append(("opened", change.event.onset_s))
    assert found == expected
