"""Likeness is told against the lines of the store, in either language, and also where there are only a few."""

import numpy as np
import pytest

from vigil.history.embedder import SIZE, load_embedder
from vigil.history.likeness import LikenessScale, language_of
from vigil.history.meaning import STANDS_OUT

LINES = ["两个人在交谈", "a car drives past", "两名男子打架, 互相推搡", "two men fight and push each other"]


@pytest.fixture(scope="module")
def scale() -> LikenessScale:
    embedder = load_embedder()
    return LikenessScale(embedder, LINES, embedder.passage(LINES))


def test_a_line_in_the_other_language_is_as_near_as_one_in_the_own(scale: LikenessScale) -> None:
    vectors = load_embedder().passage(LINES)
    for words in ("打架", "fight"):
        near = scale.cosines(scale.asked(words), LINES, vectors)
        assert set(np.argsort(-near)[:2]) == {2, 3}, words


def test_lines_are_centred_and_of_length_one(scale: LikenessScale) -> None:
    made = scale.centred(LINES, load_embedder().passage(LINES))
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert abs(made[0] @ made[1]) < 0.5, "what everyday lines have in common is gone"


def test_a_scale_without_lines_of_a_store_rests_on_everyday_ones() -> None:
    embedder = load_embedder()
    scale = LikenessScale(embedder, [], np.empty((0, SIZE), np.float32))
    asked = scale.asked("打架")
    near = scale.cosines(asked, LINES, embedder.passage(LINES))
    found = asked.is_found(near, stands_out=STANDS_OUT)
    assert list(found[:3]) == [False, False, True]


@pytest.mark.parametrize(("text", "language"), [("打架", "zh"), ("fight 3", "en"), ("穿 red 外套", "zh"), ("", "en")])
def test_a_text_with_chinese_characters_is_chinese(text: str, language: str) -> None:
    assert language_of(text) == language
