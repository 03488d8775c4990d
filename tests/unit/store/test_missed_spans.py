import threading

import pytest

from incidents import make_judged
from vigil.errors import UsageError
from vigil.store import CameraRecord, RetentionSettings, Store, prune
from vigil.store.missed_spans import MissedFilter, MissedSpan
from vigil.store.times import format_utc

EPOCH_S = 1_760_000_000.0
HOSTILE = ["<img src=x>", "'); DROP TABLE missed_spans; --", "=1+1", "\x1b[31m\x00 \ud83d", "100%_\\", "两个孩子"]


def at(second: float) -> str:
    return format_utc(EPOCH_S + second)


@pytest.fixture
def door(store: Store) -> CameraRecord:
    return store.cameras.register(CameraRecord(id="", name="door", identity="id-of-door", kind="stream"))


def add(store: Store, second: float, *, camera: str = "door", note: str = "") -> MissedSpan:
    return store.missed_spans.add(camera, from_utc=at(second), to_utc=at(second + 5), who="lena", note=note)


def test_a_span_is_kept_with_who_and_when_under_the_present_name_of_its_camera(
    store: Store, door: CameraRecord
) -> None:
    span = add(store, 0, note="two people")
    assert (span.source, span.camera_id, span.who, span.note) == ("door", door.id, "lena", "two people")
    store.cameras.rename("door", "north door")
    assert store.missed_spans.get(span.id) == store.missed_spans.find()[0]
    assert store.missed_spans.find()[0].source == "north door"


def test_a_span_that_is_taken_back_stays_and_counts_no_more(store: Store, door: CameraRecord) -> None:
    span, other = add(store, 0), add(store, 10)
    back = store.missed_spans.take_back(span.id, who="omar")
    assert back.taken_back_by == "omar" and back.taken_back_utc
    assert store.missed_spans.take_back(span.id, who="lena") == back
    assert store.missed_spans.find() == [other] and store.missed_spans.count() == 1
    assert len(store.missed_spans.find(MissedFilter(also_taken_back=True))) == 2


def test_spans_are_found_by_time_camera_place_and_text(store: Store, door: CameraRecord) -> None:
    yard = store.cameras.register(CameraRecord(id="", name="yard", identity="id-of-yard", kind="stream"))
    store.cameras.set_place("yard", "gate")
    first, second = add(store, 0, note="rain"), add(store, 100, camera=yard.id)

    def found(**wanted: str) -> list[MissedSpan]:
        return store.missed_spans.find(MissedFilter(**wanted))  # type: ignore[arg-type]

    assert found() == [second, first]
    assert found(since_utc=at(3), until_utc=at(99)) == found(source="door") == found(text="RAIN") == [first]
    assert found(place="gate") == found(text="yar") == found(source=yard.id) == [second]
    with pytest.raises(UsageError, match="wrong way"):
        found(since_utc=at(9), until_utc=at(3))


@pytest.mark.parametrize("note", HOSTILE)
def test_a_note_is_text_and_nothing_else(store: Store, door: CameraRecord, note: str) -> None:
    kept = add(store, 0, note=note).note
    assert kept == note.encode("utf-8", "replace").decode().replace("\0", " ")
    assert store.missed_spans.count() == 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"camera": "nosuch"}, "no camera"),
        ({"to_utc": at(0)}, "wrong way"),
        ({"to_utc": at(3601)}, "longer than"),
        ({"to_utc": "2999-01-01T00:00:00.000Z"}, "yet to come"),
        ({"who": "  "}, "say who"),
        ({"note": "x" * 4001}, "shorten"),
    ],
)
def test_what_makes_no_sense_is_refused(store: Store, door: CameraRecord, values: dict[str, str], told: str) -> None:
    given = {"camera": "door", "from_utc": at(0), "to_utc": at(5), "who": "lena", "note": ""} | values
    with pytest.raises(UsageError, match=told):
        store.missed_spans.add(given.pop("camera"), **given)
    assert store.missed_spans.count() == 0


def test_several_people_at_once_lose_nothing(store: Store, door: CameraRecord) -> None:
    threads = [threading.Thread(target=add, args=(store, 10.0 * number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.missed_spans.count() == 8


def test_retention_and_a_merged_camera_lose_none(store: Store, door: CameraRecord) -> None:
    add(store, 0)
    prune(store, RetentionSettings(media_days=0, verdict_days=0, event_days=0), clock=lambda: 2e9)
    assert store.missed_spans.count() == 1
    moved = store.cameras.register(CameraRecord(id="", name="new", identity="id-of-new", kind="stream"))
    store.cameras.move(moved.id, CameraRecord(id="", name="", identity="id-of-door", kind="stream"))
    assert [span.camera_id for span in store.missed_spans.find()] == [moved.id]


def test_the_verdicts_of_a_camera_are_found_by_the_time_of_day_over_several_watches(
    store: Store, door: CameraRecord
) -> None:
    for epoch_s in (EPOCH_S, EPOCH_S + 100):
        store.sessions.start(source="door", epoch_s=epoch_s, camera=door)
        judged = [make_judged(window, 0.1 * window) for window in range(5)]
        store.verdicts.add(judged)
    strips = store.verdict_strips
    whole = strips.bucketed(door.id, from_s=EPOCH_S, to_s=EPOCH_S + 120, buckets=2)
    assert [(each.windows, each.start_s - EPOCH_S) for each in whole] == [(5, 0.0), (5, 60.0)]
    assert [each.p_most for each in whole] == pytest.approx([0.4, 0.4])
    some = strips.windows(door.id, from_s=EPOCH_S + 3, to_s=EPOCH_S + 102)
    assert [round(each.start_s - EPOCH_S) for each in some] == [2, 4, 6, 8, 100, 102]
    assert strips.bucketed("cam_00000000", from_s=EPOCH_S, to_s=EPOCH_S + 120, buckets=2) == []


def test_a_file_has_no_time_of_day(store: Store) -> None:
    store.sessions.start(source="clip.mp4")
    store.verdicts.add([make_judged(0, source="clip.mp4")])
    [camera] = store.cameras.all()
    assert store.verdict_strips.windows(camera.id, from_s=0, to_s=2e9) == []


def test_many_marks_are_one_transaction_and_each_is_logged(store: Store) -> None:
    from incidents import make_event

    for name in "abc":
        store.events.save(make_event(id=name, end_s=5.0))
    before = store.changes.last()
    made = store.marks.add_to_all(["c", "nosuch", "a", "c"], "unsure", who="lena", note="rain")
    assert [(mark.event_id, mark.number) for mark in made] == [("c", 1), ("a", 1)]
    assert [(change.kind, change.event_id) for change in store.changes.after(before)] == [
        ("marked", "c"),
        ("marked", "a"),
    ]
    with pytest.raises(UsageError, match="is no mark"):
        store.marks.add_to_all(["a"], "huge", who="lena")  # type: ignore[arg-type]
