"""Rules after a restart: a run that is cut anywhere and goes on gives the events of the run that was never cut."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vigil.events import Event, EventChange
from vigil.observation import Observation
from vigil.rules import (
    CameraFaultSettings,
    CountSettings,
    DurationSettings,
    Fault,
    HysteresisSettings,
    ObservationSettings,
    RuleSet,
    RuleSettings,
    SequenceSettings,
    Term,
)
from vigil.rules.build import build_rules
from vigil.rules.camera_fault import fault_answer, fault_question
from vigil.store.sessions import WatchSession
from vigil.store.stored_answers import answers_from_text, answers_to_text
from vigil.verdict import Answer, Cause, JudgedWindow, Outcome, Verdict
from vigil.watch.resumed_rules import ResumedRules, on_clock_of, past_needed_s, replay, with_observations

EPOCH_S = 1_795_910_400.0
RULES: tuple[RuleSettings, ...] = (
    HysteresisSettings(name="fight", quiet_s=6.0, unknown_timeout_s=20.0, max_event_s=60.0),
    DurationSettings(name="loitering", question="person", label="yes", for_s=10.0, gap_s=4.0, unknown_timeout_s=20.0),
    SequenceSettings(
        name="after", first=Term(question="person", label="yes"), then=Term(), within_s=12.0, unknown_timeout_s=20.0
    ),
    CountSettings(name="unrest", times=2, within_s=40.0, gap_s=2.0, p_from=0.5, unknown_timeout_s=20.0),
    CameraFaultSettings(fault=Fault.DARK, for_s=6.0, gap_s=2.0, unknown_timeout_s=20.0, max_event_s=60.0),
)
STATES = st.sampled_from([None, True, True, False])
WINDOWS = st.lists(
    st.tuples(STATES, STATES, STATES, st.sampled_from([2.0, 2.0, 2.0, 2.0, 8.0, 24.0]), st.booleans()),
    min_size=2,
    max_size=40,
)


def windows(
    run: Sequence[tuple[bool | None, bool | None, bool | None, float, bool]], cuts: Collection[int] = ()
) -> list[JudgedWindow]:
    """Windows of 2.5 seconds, which overlap but at `cuts`; each tells of a fight, a person, and the light."""
    made, start_s = [], 0.0
    for number, (fight, person, dark, step_s, rest) in enumerate(run):
        start_s += step_s + 0.5 * (number in cuts)
        times = {"start_s": start_s, "end_s": start_s + 2.5}
        verdict = Verdict.unknown(Cause.TIMEOUT, **times)
        if fight is not None:
            verdict = Verdict(
                outcome=Outcome.ALARM if fight else Outcome.NORMAL, p_alarm=0.8 if fight else 0.1, **times
            )
        answers = {fault_question(Fault.DARK): fault_answer(Fault.DARK, dark)}
        if person is not None:
            answers["person"] = Answer(
                question="person", probabilities={"yes": 0.9, "no": 0.1} if person else {"yes": 0.2, "no": 0.8}
            )
        made.append(
            JudgedWindow(source="door", window=number, verdict=verdict, rest=rest and number > 0, answers=answers)
        )
    return made


def rules_at(epoch_s: float) -> RuleSet:
    return build_rules(RULES, source="door", task="fight", epoch_s=epoch_s)


class Log:
    """What a store keeps of a camera: sessions with their windows, and the newest state of each event."""

    def __init__(self) -> None:
        self.sessions: list[tuple[WatchSession, list[JudgedWindow]]] = []
        self.events: dict[str, Event] = {}
        self.began_in: dict[str, str] = {}
        self.opened: list[str] = []

    def keep(self, changes: Sequence[EventChange]) -> None:
        for change in changes:
            self.events[change.event.id] = change.event
            self.began_in.setdefault(change.event.id, self.sessions[-1][0].id)
            self.opened += [change.event.id] * (change.kind == "opened")

    def read_back(self) -> list[tuple[WatchSession, list[JudgedWindow]]]:
        """The sessions as a store gives them back."""
        return [
            (session, [replace(each, answers=answers_from_text(answers_to_text(each.answers))) for each in made])
            for session, made in self.sessions
        ]


def watch(log: Log, made: Sequence[JudgedWindow], *, epoch_s: float, killed: bool) -> None:
    """One watch of these windows, whose seconds count from the first session's; they are renumbered from 0."""
    rules, kept = rules_at(epoch_s), [event for event in log.events.values() if event.is_open]
    resumed = None
    if log.sessions:
        past = on_clock_of(epoch_s, log.read_back())
        replay(rules, past)
        resumed = ResumedRules(rules=rules, past=past, kept=kept, began_in=log.began_in)
    session = WatchSession(id=f"s{len(log.sessions)}", source="door", epoch_s=epoch_s)
    log.sessions.append((session, []))
    for number, each in enumerate(made):
        ago_s = epoch_s - EPOCH_S
        verdict = replace(each.verdict, start_s=each.start_s - ago_s, end_s=each.end_s - ago_s)
        judged = replace(each, window=number, verdict=verdict)
        log.sessions[-1][1].append(judged)
        changes = rules.push(judged)
        log.keep(changes if resumed is None else resumed.told(changes))
    if not killed:
        changes = rules.finish("stopped")
        log.keep(changes if resumed is None else resumed.told(changes))


def said(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """What counts of events, on the clock on the wall."""
    told = []
    for event in events:
        epoch_s, spans = event.epoch_s or 0.0, [(each.start_s, each.p_alarm) for each in event.windows]
        assert [start_s for start_s, _ in spans] == sorted(start_s for start_s, _ in spans)
        numbers = [each.window for each in event.windows]
        assert len(set(numbers)) == len(numbers)
        times_s = (event.onset_s, event.end_s or 0.0, event.peak_s, *(start_s for start_s, _ in spans))
        told.append((event.rule, event.closed_because, event.tier, event.peak, *(epoch_s + each for each in times_s)))
    return sorted(told)


@given(WINDOWS, st.lists(st.integers(1, 39), max_size=3))
@example([(True, True, True, 2.0, False)] * 20, [9])
@example([(True, True, True, 2.0, False)] * 40, [3, 9, 30])
def test_a_run_that_is_cut_and_goes_on_gives_the_same_events(
    run: list[tuple[bool | None, bool | None, bool | None, float, bool]], cuts: list[int]
) -> None:
    made = windows(run, cuts)
    whole, pieces = Log(), Log()
    watch(whole, made, epoch_s=EPOCH_S, killed=False)
    bounds = [0, *sorted({cut for cut in cuts if cut < len(made)}), len(made)]
    for begin, end in pairwise(bounds):
        # The next watch begins when its first window does: nothing is missed.
        starts_s = EPOCH_S if begin == 0 else EPOCH_S + made[begin].start_s
        watch(pieces, made[begin:end], epoch_s=starts_s, killed=end < len(made))
    assert said([*pieces.events.values()]) == said([*whole.events.values()])
    assert len(pieces.opened) == len(set(pieces.opened)) == len(whole.opened)


def loitering(seconds: float, *, start_s: float = 0.0) -> list[JudgedWindow]:
    return windows(
        [(False, True, False, start_s or 2.0, False), *[(False, True, False, 2.0, False)] * int(seconds / 2 - 1)]
    )


@pytest.mark.parametrize(("away_s", "opens_at_s"), [(3.0, 12.0), (30.0, None)], ids=["shortly", "for long"])
def test_time_away_adds_nothing_and_ends_what_it_is_too_long_for(away_s: float, opens_at_s: float | None) -> None:
    log = Log()
    watch(log, loitering(8.0), epoch_s=EPOCH_S, killed=True)
    last_s = log.sessions[0][1][-1].end_s
    assert log.opened == []
    began_s = EPOCH_S + last_s + away_s
    watch(log, loitering(6.0, start_s=last_s + away_s), epoch_s=began_s, killed=True)
    events = [event for event in log.events.values() if event.rule == "loitering"]
    assert len(events) == (0 if opens_at_s is None else 1)
    if opens_at_s is not None:
        # 8.5 seconds were seen before, and the first window after it adds 2.5.
        assert events[0].onset_s == pytest.approx(2.0 - last_s - away_s)


def test_an_incident_whose_event_was_closed_by_a_stop_is_told_as_a_new_one_of_what_was_seen_since() -> None:
    log = Log()
    watch(log, loitering(20.0), epoch_s=EPOCH_S, killed=False)
    [before] = [event for event in log.events.values() if event.rule == "loitering"]
    assert before.closed_because == "stopped"
    last_s = log.sessions[0][1][-1].end_s
    watch(log, loitering(8.0, start_s=last_s + 2.0), epoch_s=EPOCH_S + last_s + 2.0, killed=True)
    [after] = [event for event in log.events.values() if event.rule == "loitering" and event.id != before.id]
    assert after.is_open and after.onset_s == 0.0 and [each.window for each in after.windows] == [0, 1, 2, 3]
    assert log.opened == [before.id, after.id]


def test_an_incident_that_was_closed_by_a_stop_and_does_not_go_on_is_not_told_again() -> None:
    log = Log()
    watch(log, loitering(20.0), epoch_s=EPOCH_S, killed=False)
    last_s = log.sessions[0][1][-1].end_s
    quiet = windows([(False, False, False, last_s + 2.0, False), *[(False, False, False, 2.0, False)] * 8])
    watch(log, quiet, epoch_s=EPOCH_S + last_s + 2.0, killed=False)
    assert len(log.opened) == 1


def test_a_clock_that_was_set_back_makes_no_second_count_twice() -> None:
    log = Log()
    watch(log, loitering(8.0), epoch_s=EPOCH_S, killed=True)
    past = on_clock_of(EPOCH_S - 3600.0, log.read_back())
    spans = [(each.start_s, each.end_s) for session in past for each in session.windows]
    assert spans[-1][1] == 0.0 and spans == sorted(spans) and past[0].windows[-1].window == -1
    rules = rules_at(EPOCH_S - 3600.0)
    replay(rules, past)
    first = replace(loitering(2.0)[0], window=0)
    changes = rules.push(replace(first, verdict=replace(first.verdict, start_s=0.0, end_s=1.0)))
    assert changes == []
    assert [
        each.kind
        for each in rules.push(replace(first, window=1, verdict=replace(first.verdict, start_s=1.0, end_s=3.0)))
    ] == ["opened"]


def test_sessions_that_overlap_by_their_clocks_are_put_one_after_another() -> None:
    made = loitering(8.0)
    sessions = [(WatchSession(id=f"s{n}", source="door", epoch_s=EPOCH_S), list(made)) for n in range(3)]
    spans = [
        (each.window, each.start_s, each.end_s)
        for session in on_clock_of(EPOCH_S + 100.0, sessions)
        for each in session.windows
    ]
    assert spans == sorted(spans) and len({window for window, *_ in spans}) == len(spans) == 12
    assert max(end_s for *_, end_s in spans) <= 0.0


def test_no_more_of_the_past_is_read_than_the_rules_need() -> None:
    assert past_needed_s([HysteresisSettings()]) == 120.0
    assert past_needed_s([HysteresisSettings(), DurationSettings(name="a", for_s=300.0)]) == 960.0


@pytest.mark.parametrize("fields", [None, {"objects": ["a cigarette"], "people": [], "lights": "on"}])
def test_what_was_observed_before_a_restart_counts(fields: dict[str, object] | None) -> None:
    smoking = ObservationSettings(name="smoking", words=("cigarette",), times=2)
    verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=2.0, end_s=4.5)
    window = JudgedWindow(source="door", window=1, verdict=verdict)
    before = WatchSession(id="s0", source="door", epoch_s=EPOCH_S)
    observation = Observation(
        id="o1",
        camera_id="cam_1",
        source="door",
        session_id="s0",
        start_s=2.0,
        end_s=4.5,
        happened_utc="2026-11-29T00:00:02.000Z",
        text="somebody with a cigarette",
        fields=fields,
    )
    rules = build_rules([smoking], source="door", task="fight", epoch_s=EPOCH_S + 60.0)
    replay(rules, on_clock_of(EPOCH_S + 60.0, with_observations([(before, [window])], [observation])))
    assert rules.open_events == ()
    again = replace(observation, session_id="s1", start_s=0.0, end_s=2.5)
    now = replace(window, window=0, verdict=replace(verdict, start_s=0.0, end_s=2.5))
    [(_, [observed])] = with_observations([(replace(before, id="s1"), [now])], [again])
    [opened] = rules.observe(observed)
    assert (opened.kind, opened.event.rule, opened.event.onset_s) == ("opened", "smoking", -58.0)


def test_answers_come_back_from_the_store_as_they_were() -> None:
    p = 0.1 + 0.2
    answers = {
        "lights": Answer(question="lights", probabilities={"on": p, "off": 1 - p}),
        "person": Answer(question="person", stated_label="yes"),
        "gate": Answer.unknown(Cause.TIMEOUT, detail="late"),
    }
    back = answers_from_text(answers_to_text(answers))
    assert back["lights"].probabilities == {"on": p, "off": 1 - p} and back["person"].label == "yes"
    assert back["gate"].cause is Cause.TIMEOUT and back["lights"].question == "lights"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"cause": "moon"}}', '{"a": {"p": {"x": "y"}}}'])
def test_damaged_answers_are_none(text: str) -> None:
    assert answers_from_text(text) == {}


def test_an_answer_that_the_verdict_repeats_is_not_stored() -> None:
    own = Answer(question="t", probabilities={"alarm": 0.7, "normal": 0.3})
    assert answers_to_text({"t": own}) == "" and answers_to_text({}) == ""
    assert json.loads(answers_to_text({"t": own, "b": own})) == {
        name: {"p": {"alarm": 0.7, "normal": 0.3}} for name in "tb"
    }
