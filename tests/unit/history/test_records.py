"""What is found for a question, on both databases: what matches, what no word finds, and nothing where nothing is."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from incidents import make_event
from observing import EPOCH_S, make_observation
from vigil.history import FoundRecords, find_records, read_question
from vigil.history.records import fused
from vigil.store import CameraRecord, Store
from vigil.store.ranked_search import HistorySpan, RankedRow

NOW = datetime.fromtimestamp(EPOCH_S + 3600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with two cameras, some observations and two events."""
    with Store.open(tmp_path / "events.db") as opened:
        for name in ("后门", "yard"):
            opened.cameras.register(CameraRecord(id="", name=name, identity=f"id of {name}", kind="stream"))
        ids = {camera.name: camera.id for camera in opened.cameras.all()}
        opened.observations.add([
            make_observation(0, "一个人在搬梯子", id="o1", camera_id=ids["后门"]),
            make_observation(10, "a white van stops", id="o2", camera_id=ids["yard"]),
            make_observation(20, "", id="o3", camera_id=ids["yard"], fields={"objects": ["雨伞"]}),
        ])  # fmt: skip
        opened.events.save(
            make_event(id="e1", text="两个人打架", camera_id=ids["后门"], epoch_s=EPOCH_S, onset_s=5.0, end_s=9.0)
        )
        opened.events.save(make_event(id="e2", text="", camera_id=ids["yard"], epoch_s=EPOCH_S, onset_s=6.0))
        opened.marks.add("e1", "true", who="lena", note="called the police")
        yield opened


def found(store: Store, text: str, **given: object) -> FoundRecords:
    return find_records(store, read_question(text, store.cameras.all(), now=NOW), **given)  # type: ignore[arg-type]


def ids(store: Store, text: str) -> list[str]:
    return [record.id for record in found(store, text).records]


def test_what_matches_is_found_with_what_belongs_to_it(store: Store) -> None:
    first, undescribed = found(store, "有人打架吗").records
    assert (first.ref, first.id, first.kind, first.mark, first.score) == ("E1", "e1", "event", "true", 1.0)
    assert first.text == "两个人打架 (called the police)" and first.camera == "后门" and first.rule == "fight"
    assert (undescribed.ref, undescribed.id, undescribed.until_utc) == ("E2", "e2", "")
    assert ids(store, "white van in the yard") == ["o2", "e2"] and ids(store, "谁拿了雨伞") == ["o3", "e2"]


@pytest.mark.parametrize(
    "text",
    ["was there a fight in the yard?", "any fighting", "有人打架吗", "yard 剧烈冲突"],
    ids=["en", "form", "zh", "class"],
)
def test_an_event_is_found_by_what_its_rule_and_class_are_called(store: Store, text: str) -> None:
    yard = next(camera.id for camera in store.cameras.all() if camera.name == "yard")
    told = {"text": "they push each other", "camera_id": yard, "epoch_s": EPOCH_S, "onset_s": 7.0, "end_s": 9.0}
    store.events.save(make_event(id="e3", task="anomaly9", rule="incident", label="剧烈冲突", **told))
    store.events.save(make_event(id="e4", task="fight_en", rule="fight_en", **told))
    assert {"e3", "e4"} & set(ids(store, text))
    assert "e4" not in ids(store, "is somebody loitering in the yard?")


def test_where_nothing_matches_nothing_is_found(store: Store) -> None:
    nothing = found(store, "后门有人骑马吗")
    assert nothing.is_empty and (nothing.events, nothing.observations, nothing.watches) == (1, 1, 0)
    assert ids(store, "2020-01-01 有人打架吗") == []


def test_a_question_without_words_of_its_own_gets_an_overview(store: Store) -> None:
    assert ids(store, "what happened?") == ["e2", "e1", "o3", "o2", "o1"]
    assert ids(store, "后门发生了什么") == ["e1", "o1"]
    assert [record.id for record in found(store, "what happened?", limit=2).records] == ["e2", "o3"]


def test_rankings_are_fused_by_their_ranks(store: Store) -> None:
    a, b, c = ("event", "a"), ("observation", "b"), ("observation", "c")
    assert fused([a, b], [b, c]) == [b, a, c]  # type: ignore[list-item]


class Meaning:
    """A search by meaning that finds one observation."""

    def observations(self, words: str, span: HistorySpan, *, limit: int) -> list[RankedRow]:
        return [RankedRow("o2", 0.8, "2025-11-24T16:00:10.000Z")]

    def missing(self, span: HistorySpan) -> int:
        return 3


def test_what_is_meant_is_found_beside_what_is_said(store: Store) -> None:
    by_both = found(store, "打架 vehicle parked", meaning=Meaning(), matches_from=0.1)
    assert {record.id for record in by_both.records} == {"e1", "o2", "e2"}
    assert (by_both.meaning, by_both.unindexed) == ("on", 3)
    assert found(store, "打架").meaning == "off"


def test_a_watch_that_went_on_then_is_counted(store: Store) -> None:
    store.sessions.start(source="后门", camera=store.cameras.find("后门"))
    assert found(store, "what happened?").watches == 1
    assert found(store, "2020-01-01 后门").watches == 0
