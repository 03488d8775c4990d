"""The sequence rule: one thing and then another within a time, also against a slow reference."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.errors import UsageError
from vigil.events import EventChange
from vigil.rules import SequenceRule, SequenceSettings, Term
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict

OPEN_THEN_RUN = SequenceSettings(
    name="break-in",
    first=Term(question="gate", label="open"),
    then=Term(question="person", label="runs"),
    within_s=20.0,
    quiet_s=4.0,
    unknown_timeout_s=30.0,
    max_event_s=60.0,
)

Shown = tuple[bool | None, bool | None]


def window(number: int, shown: Shown) -> JudgedWindow:
    start_s, end_s = number * 2.0, number * 2.0 + 2.5
    verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=start_s, end_s=end_s)
    answers = {
        question: Answer(question=question, cause=Cause.TIMEOUT)
        if holds is None
        else Answer(question=question, probabilities={label: 0.9 if holds else 0.1})
        for question, label, holds in (("gate", "open", shown[0]), ("person", "runs", shown[1]))
    }
    return JudgedWindow(source="yard", window=number, verdict=verdict, answers=answers)


def changes_of(run: list[Shown], settings: SequenceSettings = OPEN_THEN_RUN) -> list[EventChange]:
    rule = SequenceRule(settings, source="yard", task="fight", clock=lambda: 0.0)
    told = [change for i, shown in enumerate(run) for change in rule.push(window(i, shown))]
    told += rule.finish("stopped")
    assert rule.finish("stopped") == [] and rule.open_events == ()
    return told


def story(changes: list[EventChange]) -> list[tuple[str, float, float | None, str]]:
    return [
        (each.kind, each.event.onset_s, each.event.end_s, each.event.closed_because)
        for each in changes
        if each.kind in ("opened", "closed")
    ]


NOTHING, GATE, RUN = (False, False), (True, False), (False, True)


def test_it_opens_with_the_second_and_began_with_the_first() -> None:
    assert story(changes_of([NOTHING, GATE, NOTHING, RUN, RUN, NOTHING, NOTHING, NOTHING])) == [
        ("opened", 2.0, None, ""),
        ("closed", 2.0, 10.5, "quiet"),
    ]


@pytest.mark.parametrize(
    "run",
    [
        [RUN, GATE, NOTHING],
        [(True, True), NOTHING],
        [GATE, *[NOTHING] * 12, RUN],
        [GATE, *[(None, None)] * 12, RUN],
        [RUN] * 5,
        [GATE] * 5,
        [(None, None), RUN],
    ],
    ids=[
        "the other way round",
        "at once",
        "too late",
        "too late, unseen",
        "second alone",
        "first alone",
        "unseen first",
    ],
)
def test_what_is_no_sequence_opens_nothing(run: list[Shown]) -> None:
    assert story(changes_of(run)) == []


def test_each_event_needs_both_anew() -> None:
    run = [GATE, RUN, *[NOTHING] * 3, RUN, NOTHING, GATE, RUN]
    assert [kind for kind, *_ in story(changes_of(run))] == ["opened", "closed", "opened", "closed"]


def test_what_nobody_sees_does_not_end_it_until_it_is_lost() -> None:
    told = story(changes_of([GATE, RUN, *[(None, None)] * 5, RUN, *[(None, None)] * 20]))
    assert told == [("opened", 0.0, None, ""), ("closed", 0.0, 16.5, "lost sight")]


def test_a_rule_that_is_suspended_forgets_what_came_first() -> None:
    rule = SequenceRule(OPEN_THEN_RUN, source="yard")
    assert rule.push(window(0, GATE)) == [] and rule.suspend("the schedule ended") == []
    assert rule.push(window(1, RUN)) == []
    assert rule.push(window(2, GATE)) == []
    assert [change.kind for change in rule.push(window(3, RUN))] == ["opened"]
    [closed] = rule.suspend("the schedule ended")
    assert closed.event.closed_because == "the schedule ended"


def test_words_describe_its_event_and_other_settings_take_effect() -> None:
    rule = SequenceRule(OPEN_THEN_RUN, source="yard")
    rule.change_to(replace(OPEN_THEN_RUN, within_s=1.0))
    assert [rule.push(window(i, shown)) for i, shown in enumerate([GATE, NOTHING, RUN])] == [[], [], []]
    assert rule.push(window(3, GATE)) == []
    [opened] = rule.push(window(4, RUN))
    [told] = rule.describe(4, "a man runs")
    assert (opened.event.text, told.event.text) == ("", "a man runs")


@pytest.mark.parametrize(
    "wrong",
    [{"name": " "}, {"then": Term(question="gate", label="open")}, {"within_s": 0.0}, {"quiet_s": -1.0}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(OPEN_THEN_RUN, **wrong)  # type: ignore[arg-type]


def slow(run: list[Shown], rule: SequenceSettings) -> list[tuple[str, float, float | None, str]]:
    """The rule as its definition says it: at each window, everything before it is looked at again."""
    made = [window(i, shown) for i, shown in enumerate(run)]
    told: list[tuple[str, float, float | None, str]] = []
    used, opened = -1, None
    for i, (judged, (_, then)) in enumerate(zip(made, run, strict=True)):
        if opened is not None:
            first, at = opened
            known = [j for j in range(i) if run[j][1] is not None]
            trues = [j for j in range(at, i) if run[j][1]]
            end_s = made[trues[-1]].end_s
            now_s = judged.end_s if then is None else judged.start_s
            if now_s - made[known[-1]].end_s >= rule.unknown_timeout_s:
                told.append(("closed", made[first].start_s, end_s, "lost sight"))
                opened = None
            elif then and judged.end_s - made[at].end_s > rule.max_event_s:
                told.append(("closed", made[first].start_s, end_s, "split after max_event_s"))
                opened, used = None, used
                continue
            elif then is False:
                later = [j for j in range(trues[-1] + 1, i + 1) if run[j][1] is False]
                if seconds_new(made, run, later) >= rule.quiet_s:
                    told.append(("closed", made[first].start_s, end_s, "quiet"))
                    opened = None
                    continue
            if opened is not None:
                continue
        firsts = [j for j in range(used + 1, i) if run[j][0]]
        if then and firsts and judged.start_s - made[firsts[-1]].end_s <= rule.within_s:
            told.append(("opened", made[firsts[-1]].start_s, None, ""))
            # What holds first in the very window that opens the event counts for the next one.
            opened, used = (firsts[-1], i), i - 1
    if opened is not None:
        first, at = opened
        end_s = max(made[j].end_s for j in range(at, len(run)) if run[j][1])
        told.append(("closed", made[first].start_s, end_s, "stopped"))
    return told


def seconds_new(made: list[JudgedWindow], run: list[Shown], later: list[int]) -> float:
    """The seconds of some windows that no known window before them has shown."""
    new_s = 0.0
    for j in later:
        before_s = max((made[k].end_s for k in range(j) if run[k][1] is not None), default=0.0)
        new_s += max(0.0, made[j].end_s - max(made[j].start_s, before_s))
    return new_s


STATES = st.sampled_from([True, False, False, None])


@given(st.lists(st.tuples(STATES, STATES), max_size=60), st.sampled_from([2.0, 20.0]), st.sampled_from([10.0, 60.0]))
@example([GATE, (True, True), *[RUN] * 30, RUN], 20.0, 60.0)
def test_it_finds_the_events_that_the_slow_one_finds(run: list[Shown], within_s: float, max_event_s: float) -> None:
    settings = replace(OPEN_THEN_RUN, within_s=within_s, max_event_s=max_event_s, unknown_timeout_s=10.0)
    assert story(changes_of(run, settings)) == slow(run, settings)
