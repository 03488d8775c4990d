"""Ranked search: the rows with most of what is asked come first, in Chinese and English, on both databases."""

from dataclasses import replace

import pytest

from incidents import make_event
from observing import EPOCH_S, make_observation
from vigil.errors import UsageError
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan, RankedRow
from vigil.store.term_index import asked_units, fold
from vigil.store.times import format_utc

SAID = {
    "van": "a white van stops beside the gate",
    "cat": "a white cat sits on the wall",
    "fight": "two men fight near the gate",
    "empty": "nobody is there, the gate is closed",
    "面包车": "一辆白色面包车停在后门",
    "梯子": "一个人在后门搬梯子",
}


@pytest.fixture
def said(store: Store) -> Store:
    """A store with these observations, a second apart."""
    store.observations.add(
        [make_observation(second, text, id=name) for second, (name, text) in enumerate(SAID.items())]
    )
    return store


def best(store: Store, words: str, span: HistorySpan | None = None) -> list[str]:
    return [row.id for row in store.ranked.observations(words, span or HistorySpan(), limit=9)]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("white van", "van"), ("FIGHTING", "fight"), ("a white cat", "cat"), ("白色面包车", "面包车"),
        ("谁搬了梯子", "梯子"),
        ("后门梯子", "梯子"),
    ],
)  # fmt: skip
def test_the_row_with_most_of_the_question_comes_first(said: Store, words: str, first: str) -> None:
    assert best(said, words)[0] == first


def test_a_score_is_the_share_of_the_question_that_a_row_has(said: Store) -> None:
    def scores(words: str) -> dict[str, float]:
        return {row.id: row.score for row in said.ranked.observations(words, HistorySpan(), limit=9)}

    assert scores("white van")["van"] == pytest.approx(1.0) and 0 < scores("white van")["cat"] < 0.5
    assert scores("white horse")["van"] < 0.5, "what no row has counts as well"
    assert scores("zebra") == scores("骑马") == {}


def test_only_rows_of_the_span_and_its_cameras_are_ranked(said: Store) -> None:
    said.observations.add([make_observation(50, "a white van again", id="again", camera_id="cam_00000001")])
    at_50 = format_utc(EPOCH_S + 50)
    assert best(said, "white van", HistorySpan(since_utc=at_50)) == ["again"]
    assert best(said, "white van", HistorySpan(until_utc=format_utc(EPOCH_S))) == ["van"]
    assert best(said, "white van", HistorySpan(camera_ids=("cam_00000001", "cam_00000002"))) == ["again"]
    with pytest.raises(UsageError, match="wrong way"):
        HistorySpan(since_utc=at_50, until_utc=format_utc(EPOCH_S))


def test_of_two_that_contain_as_much_the_newer_comes_first(said: Store) -> None:
    said.observations.add([make_observation(90, SAID["van"], id="newer")])
    assert best(said, "white van")[:2] == ["newer", "van"]


def test_events_are_ranked_by_their_words_and_notes(store: Store) -> None:
    for number, text in enumerate(["两个人打架", "two people push each other", "a quiet yard"]):
        store.events.save(make_event(id=f"e{number}", text=text, epoch_s=1000.0 * number, end_s=5.0))
    store.marks.add("e2", "false_alarm", who="lena", note="a dog chased a ball")

    def found(words: str, span: HistorySpan | None = None) -> list[RankedRow]:
        return store.ranked.events(words, span or HistorySpan(), limit=5)

    assert [row.id for row in found("打架")] == ["e0"] and [row.id for row in found("dog ball")] == ["e2"]
    assert [row.id for row in found("pushing people", HistorySpan(since_utc=format_utc(1002.0)))] == ["e1"]
    assert found("打架", HistorySpan(since_utc=format_utc(1500.0))) == []


@pytest.mark.parametrize(
    "words", ["", "?!", "a", '" OR 1=1', "terms:*", "'; DROP TABLE observations; --", "\x00\ud83d", "字" * 50_000]
)
def test_whatever_is_asked_is_text_and_nothing_else(said: Store, words: str) -> None:
    assert len(best(said, words)) < 7
    assert said.observations.count() == len(SAID)


def test_a_question_of_a_hundred_kilobytes_is_looked_for_by_its_rarest_words(said: Store) -> None:
    assert best(said, " ".join(f"word{number}" for number in range(12_000)) + " ladder") == []


def test_words_and_pairs_of_characters_are_what_is_asked_for() -> None:
    assert asked_units(fold("C3摄像头 at 6")) == {
        "c3": ("c3",), "摄像": ("摄像",), "像头": ("像头",), "at": ("at",)
    }  # fmt: skip
    assert asked_units(fold("fights")) == {"fights": ("fig", "igh", "ght", "hts")}
    assert asked_units(fold("火")) == {"火": ("火",)}


def test_rows_that_are_forgotten_are_found_no_more(said: Store) -> None:
    said.observations.prune(before_utc=format_utc(EPOCH_S + 3))
    assert best(said, "white van") == [] and best(said, "梯子") == ["梯子"]
    event = make_event(id="a", text="ladder")
    said.events.save(event)
    said.events.save(replace(event, text="quiet"))
    assert said.ranked.events("ladder", HistorySpan(), limit=1) == []
