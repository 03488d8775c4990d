"""What holds for every run of verdicts, found by hypothesis."""

from itertools import count, pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from vigil.events import EventChange
from vigil.rules import HysteresisRule, HysteresisSettings, RuleSet
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

P = st.one_of(st.none(), st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.75, 0.8, 0.85, 0.9, 0.92, 1.0]))
RUNS = st.lists(st.tuples(P, st.sampled_from([0.5, 2.0, 2.0, 2.0, 9.0, 70.0])), max_size=60)


@st.composite
def rules(draw: st.DrawFn) -> HysteresisSettings:
    n = draw(st.integers(1, 5))
    return HysteresisSettings(
        k=draw(st.integers(1, n)),
        n=n,
        quiet_s=draw(st.sampled_from([1.0, 6.0])),
        unknown_timeout_s=draw(st.sampled_from([6.0, 60.0])),
        max_event_s=draw(st.sampled_from([60.0, 600.0])),
    )


def windows(run: list[tuple[float | None, float]]) -> list[JudgedWindow]:
    made, start_s = [], 0.0
    for i, (p, step_s) in enumerate(run):
        start_s += step_s
        if p is None:
            verdict = Verdict.unknown(Cause.DROPPED, start_s=start_s, end_s=start_s + 2.5)
        else:
            outcome = Outcome.ALARM if p >= 0.5 else Outcome.NORMAL
            verdict = Verdict(outcome=outcome, p_alarm=p, start_s=start_s, end_s=start_s + 2.5)
        made.append(JudgedWindow(source="door", window=i, verdict=verdict))
    return made


def changes_of(made: list[JudgedWindow], ruled: HysteresisSettings) -> list[EventChange]:
    """What the rule says by itself and, window by window the same, in a set of rules."""
    ids, set_ids = count(), count()
    alone = HysteresisRule(ruled, source="door", clock=lambda: 0.0, make_id=lambda: f"{next(ids):04d}")
    rules = RuleSet([HysteresisRule(ruled, source="door", clock=lambda: 0.0, make_id=lambda: f"{next(set_ids):04d}")])
    changes: list[EventChange] = []
    for judged in made:
        changes += (one := alone.push(judged))
        assert rules.push(judged) == one
        assert rules.open_events == (() if alone.open_event is None else (alone.open_event,))
    changes += (one := alone.finish("stopped"))
    assert rules.finish("stopped") == one
    assert alone.finish("stopped") == rules.finish("stopped") == [] and rules.open_events == ()
    return changes


@given(RUNS, rules())
def test_changes_come_in_order_and_never_two_events_are_open(
    run: list[tuple[float | None, float]], ruled: HysteresisSettings
) -> None:
    open_id, seen, tier = "", set(), ""
    ranks = ["low", "medium", "high"]
    for change in changes_of(windows(run), ruled):
        event = change.event
        if change.kind == "opened":
            assert open_id == "" and event.id not in seen
            seen.add(event.id)
            open_id = event.id
        else:
            assert event.id == open_id
            assert (ranks.index(event.tier) > ranks.index(tier)) == (change.kind == "raised")
        assert event.is_open == (change.kind != "closed")
        open_id = "" if change.kind == "closed" else open_id
        tier = event.tier
    assert open_id == ""


@example(
    run=[(0.75, 0.5), (None, 0.5), (0.75, 0.5)],
    ruled=HysteresisSettings(k=4, n=4, quiet_s=1.0, unknown_timeout_s=6.0, max_event_s=60.0),
)
@given(RUNS, rules())
def test_a_closed_event_rests_on_its_windows_and_no_window_on_two_events(
    run: list[tuple[float | None, float]], ruled: HysteresisSettings
) -> None:
    made = windows(run)
    events = [change.event for change in changes_of(made, ruled) if change.kind == "closed"]
    for event in events:
        first, last = event.windows[0], event.windows[-1]
        assert (event.onset_s, event.end_s) == (first.start_s, last.end_s)
        assert (first.p_alarm or 0) >= ruled.tiers.low and (last.p_alarm or 0) >= ruled.keep_from
        assert event.peak == max(e.p_alarm for e in event.windows if e.p_alarm is not None) >= ruled.tiers.low
        assert [e.window for e in event.windows] == list(range(first.window, last.window + 1))
    for earlier, later in pairwise(events):
        assert earlier.windows[-1].window < later.windows[0].window and earlier.id < later.id


@given(RUNS, rules())
def test_a_window_over_the_threshold_lies_in_an_event_or_was_one_of_too_few(
    run: list[tuple[float | None, float]], ruled: HysteresisSettings
) -> None:
    made = windows(run)
    events = [change.event for change in changes_of(made, ruled) if change.kind == "closed"]
    inside = {evidence.window for event in events for evidence in event.windows}
    known = [judged for judged in made if judged.verdict.p_alarm is not None]
    for i in range(len(known)):
        group = [judged for judged in known[i : i + ruled.n] if (judged.verdict.p_alarm or 0) >= ruled.tiers.low]
        if len(group) < ruled.k or group[-1].start_s - group[0].end_s >= ruled.unknown_timeout_s:
            continue
        left_out = [judged for judged in group if judged.window not in inside]
        # Those of a group that an event's closing cut in two may be too few on either side.
        assert len(left_out) < ruled.k
