"""The store of observations: found by time, camera, place and text on both databases, and forgotten by age."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from observing import EPOCH_S, make_observation
from vigil.errors import UsageError
from vigil.store import CameraRecord, ObservationFilter, RetentionSettings, Store, prune
from vigil.store import observations as observations_module
from vigil.store.times import format_utc

HOSTILE = [
    '" OR 1=1 --',
    "terms:*",
    "NEAR(a b, 2)",
    "AND",
    "%_\\",
    "'; DROP TABLE observations; --",
    "\x00\ud83d",
    "^a*",
]


def texts(store: Store, **wanted: Any) -> list[str]:
    return [each.text for each in store.observations.find(ObservationFilter(**wanted))]


def at(second: float) -> str:
    return format_utc(EPOCH_S + second)


def test_an_observation_comes_back_as_it_was_under_the_present_name_of_its_camera(store: Store) -> None:
    door = store.cameras.register(CameraRecord(id="", name="door", identity="id-of-door", kind="stream", place="north"))
    fields = {"people": 2, "actions": ["推搡", "runs"], "lights": None, "place": {"near": "gate"}}
    made = make_observation(7, "两人推搡", camera_id=door.id, fields=fields, question="log", model="m", tokens=31)
    assert store.observations.add([made]) == 1
    [found] = store.observations.find()
    assert found == store.observations.by_ids(["nosuch", made.id])[0]
    assert found.place == "north" and found.fields == fields and found.tokens == 31
    store.cameras.rename("door", "north door")
    assert store.observations.find()[0].source == "north door"


def test_what_is_added_again_is_there_once(store: Store) -> None:
    first, second = make_observation(0, "one"), make_observation(1, "two")
    assert store.observations.add([first]) == 1
    assert store.observations.add([first, second, second]) == 1
    assert texts(store) == ["one", "two"] and texts(store, text="ON") == ["one"]


def test_observations_are_found_by_time_camera_and_place(store: Store) -> None:
    yard = store.cameras.register(CameraRecord(id="", name="yard", identity="i", kind="stream", place="gate"))
    rows = [make_observation(second, f"at {second}") for second in range(4)]
    rows.append(make_observation(9, "in the yard", source="old yard", camera_id=yard.id))
    store.observations.add(rows)
    assert texts(store, since_utc=at(1), until_utc=at(2)) == ["at 1", "at 2"]
    assert texts(store, source="yard") == texts(store, source=yard.id) == texts(store, place="gate") == ["in the yard"]
    assert texts(store, source="door", limit=1) == ["at 3"]
    assert store.observations.count() == 5 and store.observations.count(ObservationFilter(source="door")) == 4


@pytest.mark.parametrize(
    ("words", "found"),
    [("梯子", "a"), ("梯", "a"), ("ＬＡＤＤＥＲ", "b"), ("adde", "b"), ("雨伞", "c"), ("nothing", ""), ("子 上", "a")],
)
def test_a_text_is_found_in_words_and_in_fields(store: Store, words: str, found: str) -> None:
    store.observations.add([
        make_observation(0, "一个人在梯子 上", id="a"),
        make_observation(1, "A ladder by the wall", id="b"),
        make_observation(2, "rain", id="c", fields={"objects": [{"name": "雨伞"}]}),
    ])  # fmt: skip
    assert "".join(each.id for each in store.observations.find(ObservationFilter(text=words))) == found


def test_pages_follow_one_another_whatever_comes_in_between(store: Store) -> None:
    store.observations.add([make_observation(number // 3, f"o{number}") for number in range(9)])
    first = store.observations.page(size=4)
    store.observations.add([make_observation(99, "new")])
    second = store.observations.page(after=first.next, size=4)
    third = store.observations.page(after=second.next, size=4)
    pages = [[each.text for each in page.observations] for page in (first, second, third)]
    assert pages == [["o8", "o7", "o6", "o5"], ["o4", "o3", "o2", "o1"], ["o0"]] and third.next == ""
    for nonsense in ("nonsense", "2026~x", "~5", f"2026~{'9' * 40}"):
        with pytest.raises(UsageError, match="no place in the list"):
            store.observations.page(after=nonsense)


@pytest.mark.parametrize("words", HOSTILE)
def test_whatever_was_said_or_is_asked_is_text_and_nothing_else(store: Store, words: str) -> None:
    store.observations.add([make_observation(0, words), make_observation(1, "a quiet yard")])
    assert len(texts(store, text=words)) == 1 and store.observations.count() == 2


def test_what_no_store_takes_is_refused_and_nothing_is_written(store: Store) -> None:
    fine = make_observation(0)
    for bad in (make_observation(1, "x" * 20_001), make_observation(1, fields={"a": {1, 2}})):
        with pytest.raises(UsageError):
            store.observations.add([fine, bad])
    with pytest.raises(UsageError, match="wrong way"):
        ObservationFilter(since_utc=at(2), until_utc=at(1))
    assert store.observations.count() == 0


def test_old_observations_are_forgotten_in_small_steps_and_leave_the_index(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations_module, "DELETED_AT_ONCE", 3)
    store.observations.add([make_observation(number * 86_400, f"ladder {number}") for number in range(10)])
    keep = RetentionSettings(observation_days=2.5)
    now_s = EPOCH_S + 9 * 86_400
    assert prune(store, keep, dry_run=True, clock=lambda: now_s).observations == 7 and store.observations.count() == 10
    assert prune(store, keep, clock=lambda: now_s).observations == 7
    assert texts(store, text="ladder") == ["ladder 7", "ladder 8", "ladder 9"]
    assert prune(store, RetentionSettings(observation_days=None), clock=lambda: now_s * 2).observations == 0
    prune(store, keep, clock=lambda: now_s * 2)
    assert texts(store, text="ladder") == []
    store.observations.add([make_observation(0, "a ladder again")])
    assert texts(store, text="ladder") == ["a ladder again"]


def test_the_index_of_sqlite_is_sound_after_adding_and_forgetting(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations_module, "DELETED_AT_ONCE", 7)
    sqlite_store.observations.add([make_observation(number, f"两人 {number} 推搡 by gate") for number in range(100)])
    sqlite_store.observations.prune(before_utc=at(50))
    with sqlite_store.database.writing("checking") as connection:
        connection.execute(text("INSERT INTO observation_terms (observation_terms) VALUES ('integrity-check')"))
        left = connection.execute(text("SELECT count(*) FROM observation_terms WHERE observation_terms MATCH :term"),
                                  {"term": "推搡".encode().hex()}).scalar_one()  # fmt: skip
    assert left == 50


def test_a_merged_camera_keeps_its_observations(store: Store) -> None:
    old = store.cameras.register(CameraRecord(id="", name="door", identity="id-of-door", kind="stream"))
    new = store.cameras.register(CameraRecord(id="", name="new", identity="id-of-new", kind="stream"))
    store.observations.add([make_observation(0, camera_id=old.id)])
    store.cameras.move(new.id, CameraRecord(id="", name="", identity="id-of-door", kind="stream"))
    assert [each.camera_id for each in store.observations.find()] == [new.id]


def test_two_thousand_lines_take_little_room(sqlite_store: Store, tmp_path: Path) -> None:
    before = (tmp_path / "kept" / "events.db").stat().st_size
    words = "两个人在后门口交谈, 灯亮着, 一辆白色面包车停在路边"
    sqlite_store.observations.add([make_observation(number, f"{words} {number}") for number in range(2000)])
    with sqlite_store.database.engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    bytes_per_line = ((tmp_path / "kept" / "events.db").stat().st_size - before) / 2000
    assert bytes_per_line < 1000, bytes_per_line
