"""What an answer cites is checked: each sentence with its records, and none that does not exist."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.history.citations import check_citations, local_clock
from vigil.history.records import HistoryRecord

UTC = "2026-11-29T22:14:05.000Z"
RECORDS = [
    HistoryRecord(kind="event", id="a", camera_id="", camera="door", text="", ref="E1", happened_utc=UTC),
    HistoryRecord(
        kind="observation", id="b", camera_id="", camera="door", text="", ref="O2",
        happened_utc="2026-11-29T23:40:00.000Z",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "sentences", "unknown"),
    [
        (
            "Two men fight [E1]. A van stops [O2, E1].",
            [("Two men fight.", ("E1",)), ("A van stops.", ("O2", "E1"))],
            (),
        ),
        ("两人打架。[E1] 之后有车[O2]。", [("两人打架。", ("E1",)), ("之后有车。", ("O2",))], ()),
        ("打架【e1、o2】", [("打架", ("E1", "O2"))], ()),
        ("A fight [E9]. Nobody knows.", [("A fight.", ()), ("Nobody knows.", ())], ("E9",)),
        ("[O7] A fight (E1)", [("A fight", ("E1",))], ("O7",)),
        ("", [], ()),
        (" . [E1]", [], ()),
    ],
)
def test_each_sentence_has_the_records_that_it_rests_on(
    answer: str, sentences: list[tuple[str, tuple[str, ...]]], unknown: tuple[str, ...]
) -> None:
    checked = check_citations(answer, RECORDS)
    assert [(each.text, each.refs) for each in checked.sentences] == sentences and checked.unknown == unknown


def test_a_sentence_that_names_the_time_of_a_record_rests_on_it() -> None:
    clock = f"{local_clock(UTC):%H:%M}"
    [sentence, other] = check_citations(f"At {clock} two men fight. At 03:33 nothing.", RECORDS).sentences
    assert sentence.refs == ("E1",) and other.refs == ()


@given(st.text(alphabet="E1O29 [](),、。.!\n【】a中", max_size=60))
def test_whatever_a_model_says_only_records_that_exist_are_cited(answer: str) -> None:
    checked = check_citations(answer, RECORDS)
    assert set(checked.cited) <= {"E1", "O2"} and not set(checked.unknown) & {"E1", "O2"}
