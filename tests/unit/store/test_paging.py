import pytest

from vigil.errors import UsageError
from vigil.events import Event, EventWindow, Tier
from vigil.store import EventFilter, Store
from vigil.verdict import JudgedWindow, Outcome, Verdict


def event(number: int, *, source: str = "door") -> Event:
    evidence = EventWindow(window=number, start_s=number * 10.0, end_s=number * 10.0 + 2.5, p_alarm=0.9)
    return Event(
        id=f"e{number:03d}",
        source=source,
        onset_s=number * 10.0,
        end_s=number * 10.0 + 4,
        peak=0.9,
        peak_s=number * 10.0 + 1,
        tier=Tier.MEDIUM,
        windows=(evidence,),
        epoch_s=1_700_000_000.0,
    )


def test_pages_follow_each_other_from_the_newest_without_gaps(store: Store) -> None:
    for number in range(7):
        store.events.save(event(number))
    pages = [store.events.find(EventFilter(limit=3, offset=offset)) for offset in (0, 3, 6, 9)]
    assert [[found.id for found in page] for page in pages] == [
        ["e004", "e005", "e006"],
        ["e001", "e002", "e003"],
        ["e000"],
        [],
    ]


def test_the_count_is_of_all_pages(store: Store) -> None:
    for number in range(5):
        store.events.save(event(number, source="door" if number < 2 else "yard"))
    assert store.events.count(EventFilter(limit=1, offset=3)) == 5
    assert store.events.count(EventFilter(source="yard")) == 3
    assert store.events.sources() == ["door", "yard"]


def test_a_negative_offset_is_refused() -> None:
    with pytest.raises(UsageError, match="offset"):
        EventFilter(offset=-1)


def test_the_verdicts_around_an_event_are_those_that_reach_into_its_seconds(store: Store) -> None:
    store.sessions.start(source="door")
    starts = [float(second) for second in range(0, 60, 2)]
    store.verdicts.add(
        [
            JudgedWindow(
                source="door",
                window=number,
                verdict=Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=start_s, end_s=start_s + 2.5),
            )
            for number, start_s in enumerate(starts)
        ]
    )
    store.events.save(event(2))
    around = store.verdicts.around(store.events.get("e002"), margin_s=4)
    assert [judged.start_s for judged in around] == [14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 26.0, 28.0]


def test_an_event_outside_any_watch_has_no_verdicts_around_it(store: Store) -> None:
    store.events.save(event(1))
    assert store.verdicts.around(event(1), margin_s=10) == []
