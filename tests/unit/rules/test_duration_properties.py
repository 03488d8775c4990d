"""The duration rule against a slow one that looks at every half second again at each window, found by hypothesis."""

from dataclasses import dataclass

from hypothesis import example, given
from hypothesis import strategies as st

from vigil.events import EventChange
from vigil.rules.duration import DurationRule, DurationSettings
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

CELL_S = 0.5
MIDNIGHT_S = 1_795_910_400.0 - 60.0
"""A minute before midnight UTC: second 60 of a source that began then is 00:00."""

WINDOWS = st.lists(
    st.tuples(
        st.sampled_from([None, True, True, False]),
        st.sampled_from([0.5, 2.0, 2.0, 2.0, 2.0, 7.0, 30.0]),
        st.sampled_from([0.5, 2.5, 2.5, 4.0]),
    ),
    max_size=50,
)


@st.composite
def settings(draw: st.DrawFn) -> DurationSettings:
    return DurationSettings(
        name="loitering",
        for_s=draw(st.sampled_from([0.5, 4.0, 4.5, 10.0, 30.0])),
        gap_s=draw(st.sampled_from([0.5, 2.0, 6.0, 20.0])),
        unknown_timeout_s=draw(st.sampled_from([3.0, 10.0, 60.0])),
        max_event_s=draw(st.sampled_from([60.0, 600.0])),
        schedule=draw(st.sampled_from(["", "", "00:00-00:01", "00:00-00:02, 00:03-00:04"])),
    )


def windows(run: list[tuple[bool | None, float, float]]) -> list[JudgedWindow]:
    """Windows whose starts and ends both go on."""
    made, start_s, end_s = [], 0.0, 0.0
    for number, (holds, step_s, length_s) in enumerate(run):
        start_s += step_s
        end_s = max(end_s + CELL_S, start_s + length_s)
        if holds is None:
            verdict = Verdict.unknown(Cause.DROPPED, start_s=start_s, end_s=end_s)
        else:
            outcome = Outcome.ALARM if holds else Outcome.NORMAL
            verdict = Verdict(outcome=outcome, p_alarm=0.8 if holds else 0.2, start_s=start_s, end_s=end_s)
        made.append(JudgedWindow(source="door", window=number, verdict=verdict))
    return made


@dataclass
class Slow:
    """The rule, written down as its definition says it: nothing is counted on, everything is looked up again."""

    rule: DurationSettings
    made: list[JudgedWindow]

    def __post_init__(self) -> None:
        self.owner: dict[int, int] = {}
        """Each half second that a known window shows, and the first that did."""
        self.since = 0
        self.opened_at_s: float | None = None
        self.told: list[tuple[str, int, float, float, str]] = []

    def holds(self, number: int) -> bool | None:
        p = self.made[number].verdict.p_alarm
        return None if p is None else p >= self.rule.p_from

    def trues(self, before: int) -> list[int]:
        return [i for i in range(self.since, before) if self.holds(i)]

    def cells(self, first: int, *, holding: bool) -> float:
        return CELL_S * sum(owner >= first and self.holds(owner) is holding for owner in self.owner.values())

    def reset(self, number: int, since: int, because: str) -> None:
        if self.opened_at_s is not None:
            held = self.trues(number)
            self.told.append(("closed", number, self.made[held[0]].start_s, self.made[held[-1]].end_s, because))
        self.since, self.opened_at_s = since, None

    def is_scheduled(self, second: float) -> bool:
        minute = (second - 60.0) // 60.0
        return not self.rule.schedule or minute == 0 or (minute in (1, 3) and "," in self.rule.schedule)

    def run(self) -> list[tuple[str, int, float, float, str]]:
        for number in range(len(self.made)):
            self.window(number)
        self.reset(len(self.made), len(self.made), "stopped")
        return self.told

    def window(self, number: int) -> None:
        judged, holds = self.made[number], self.holds(number)
        if not (self.is_scheduled(judged.start_s) and self.is_scheduled(judged.end_s)):
            self.reset(number, number + 1, "the schedule ended")
            return
        now_s = judged.end_s if holds is None else judged.start_s
        known_s = (max(self.owner, default=0) + 1) * CELL_S
        if self.trues(number) and now_s - known_s >= self.rule.unknown_timeout_s:
            self.reset(number, number, "lost sight")
        if holds is None:
            return
        for cell in range(round(judged.start_s / CELL_S), round(judged.end_s / CELL_S)):
            self.owner.setdefault(cell, number)
        if holds:
            self.true(number)
        elif (held := self.trues(number)) and self.cells(held[-1] + 1, holding=False) >= self.rule.gap_s:
            self.reset(number, number + 1, "quiet")

    def true(self, number: int) -> None:
        judged = self.made[number]
        if self.opened_at_s is not None and judged.end_s - self.opened_at_s > self.rule.max_event_s:
            self.reset(number, number, "split after max_event_s")
        first = self.trues(number + 1)[0]
        if self.opened_at_s is None and self.cells(first, holding=True) >= self.rule.for_s:
            self.opened_at_s = judged.end_s
            self.told.append(("opened", number, self.made[first].start_s, 0.0, ""))


def fast(made: list[JudgedWindow], rule: DurationSettings) -> list[tuple[str, int, EventChange]]:
    # The schedule is read in the time zone of UTC wherever the test runs.
    zoned = DurationSettings(**{**_fields(rule), "timezone": "UTC" if rule.schedule else ""})
    tracker = DurationRule(zoned, source="door", epoch_s=MIDNIGHT_S)
    told = [(change.kind, judged.window, change) for judged in made for change in tracker.push(judged)]
    told += [(change.kind, len(made), change) for change in tracker.finish("stopped")]
    assert tracker.finish("stopped") == [] and tracker.open_events == ()
    return told


def _fields(rule: DurationSettings) -> dict[str, object]:
    return {name: getattr(rule, name) for name in DurationSettings.__dataclass_fields__}


@given(WINDOWS, settings())
@example([(True, 2.0, 2.5), (None, 2.0, 4.0)], DurationSettings(name="a", for_s=0.5, unknown_timeout_s=3.0))
@example([(True, 2.0, 2.5)] * 20, DurationSettings(name="a", for_s=10, gap_s=2))
@example([(True, 60.0, 2.5), *[(True, 2.0, 2.5)] * 40], DurationSettings(name="a", for_s=10, schedule="00:00-00:01"))
def test_it_finds_the_events_that_the_slow_one_finds(
    run: list[tuple[bool | None, float, float]], rule: DurationSettings
) -> None:
    made = windows(run)
    found = [
        (kind, at, change.event.onset_s, change.event.end_s or 0.0, change.event.closed_because)
        for kind, at, change in fast(made, rule)
        if kind in ("opened", "closed")
    ]
    assert found == Slow(rule, made).run()


@given(WINDOWS, settings())
def test_an_event_rests_on_seconds_that_were_seen(
    run: list[tuple[bool | None, float, float]], rule: DurationSettings
) -> None:
    made = windows(run)
    for kind, at, change in fast(made, rule):
        event = change.event
        numbers = [evidence.window for evidence in event.windows]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)) and numbers[-1] <= at
        seen = {
            cell
            for judged in made[numbers[0] : numbers[-1] + 1]
            if judged.verdict.p_alarm == 0.8
            for cell in range(round(judged.start_s / CELL_S), round(judged.end_s / CELL_S))
        }
        assert len(seen) * CELL_S >= rule.for_s and event.rule == "loitering" and event.id
        assert event.peak == 0.8 and event.is_open == (kind != "closed")
        if not event.is_open:
            assert (event.onset_s, event.end_s) == (event.windows[0].start_s, event.windows[-1].end_s)
