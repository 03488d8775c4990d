"""Search by meaning: vectors are made once, survive a stop, go with their observations, and what stands out is found.

Most tests count characters instead of loading the model: texts with the same ones lie near. The last ones load it.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from observing import EPOCH_S, make_observation
from vigil.history import find_records
from vigil.history.embedder import SIZE, Vectors, load_embedder
from vigil.history.meaning import MeaningIndex
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


LINES = {
    "ladder": "一个人搬着梯子走过",
    "fight": "two men fight and push each other",
    "dog": "a dog runs past",
    "smoke": "冒出浓烟",
}


@pytest.fixture
def week(store: Store) -> Store:
    """A store with 60 everyday lines in both languages, and four that are asked for."""
    everyday = (
        "两个人在交谈",
        "a car drives past",
        "树影晃动",
        "the picture is quiet, nothing changes",
        "一个人提着袋子",
    )
    quiet = [make_observation(number, everyday[number % 5]) for number in range(60)]
    told = [make_observation(100 + n, text, id=name) for n, (name, text) in enumerate(LINES.items())]
    store.observations.add([*quiet, *told])
    return store


def test_other_words_and_the_other_language_find_what_is_meant(week: Store) -> None:
    index = MeaningIndex(week, load_embedder())
    index.index_missing(ALL)
    for words, meant in (("puppy", "dog"), ("小狗", "dog"), ("smoke rose", "smoke")):
        found = find_records(week, HistoryQuestion(text=words, span=ALL, words=words), meaning=index)
        assert found.records and found.records[0].id == meant, words
        assert found.meaning == "on" and found.unindexed == 0
    nothing = HistoryQuestion(text="piano", span=ALL, words="piano")
    assert find_records(week, nothing, meaning=index).is_empty


def test_how_many_lines_have_no_vector_yet_is_told(week: Store) -> None:
    index = MeaningIndex(week, load_embedder())
    question = HistoryQuestion(text="puppy", span=ALL, words="puppy")
    assert find_records(week, question, meaning=index).unindexed == 64
    index.index_missing(ALL, most=4)
    assert find_records(week, question, meaning=index).unindexed == 60


def test_the_scale_is_made_anew_as_the_store_grows(store: Store) -> None:
    store.observations.add([make_observation(number, f"quiet yard {number}") for number in range(10)])
    embedder = Characters()
    index = MeaningIndex(store, embedder)
    index.index_missing(ALL)
    index.observations("yard", ALL, limit=9)
    before = len(embedder.texts)
    index.observations("yard", ALL, limit=9)
    assert len(embedder.texts) == before + 1, "only the question is new"
    store.observations.add([make_observation(number, f"white van {number}") for number in range(100, 250)])
    index.index_missing(ALL)
    before = len(embedder.texts)
    index.observations("yard", ALL, limit=9)
    assert len(embedder.texts) > before + 16
