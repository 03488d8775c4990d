import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigil.label_tokens import Branch, deciding_ids, find_branches, indistinct_labels

YES_NO = {"alarm": (20412, 9370), "normal": (80443,)}


def test_words_that_begin_differently_part_at_once_however_long_they_are() -> None:
    assert find_branches(YES_NO) == (Branch((), {"alarm": 20412, "normal": 80443}),)
    assert deciding_ids(YES_NO, "alarm") == (20412,)


def test_ten_words_that_begin_differently_are_read_at_one_place() -> None:
    words = {str(number): (number, 99) for number in range(10)}
    assert [branch.token_ids for branch in find_branches(words)] == [list(range(10))]


def test_words_with_one_beginning_part_behind_it() -> None:
    words = {"push": (5, 6, 1), "walk": (5, 6, 2), "stand": (5, 6, 3, 4)}
    assert find_branches(words) == (Branch((5, 6), {"push": 1, "walk": 2, "stand": 3}),)
    assert deciding_ids(words, "stand") == (5, 6, 3)


def test_words_of_which_some_share_a_beginning_part_at_several_places() -> None:
    words = {"sound": (7, 1), "device": (7, 8, 2), "fall": (9,), "other": (7, 8, 3)}
    assert find_branches(words) == (
        Branch((), {"sound": 7, "device": 7, "fall": 9, "other": 7}),
        Branch((7,), {"sound": 1, "device": 8, "other": 8}),
        Branch((7, 8), {"device": 2, "other": 3}),
    )
    assert deciding_ids(words, "fall") == (9,) and deciding_ids(words, "device") == (7, 8, 2)


@pytest.mark.parametrize("other", [(5,), (5, 6), (5, 6, 7)])
def test_a_word_that_begins_another_cannot_be_told_from_it(other: tuple[int, ...]) -> None:
    words = {"a": (5, 6), "b": other, "c": (1,)}
    assert list(indistinct_labels(words)) == [("a", "b")]
    with pytest.raises(ValueError, match="cannot be told apart"):
        find_branches(words)


ids = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)


@given(st.dictionaries(st.sampled_from("abcdefghij"), ids, min_size=2))
def test_labels_are_indistinct_or_told_apart_by_what_is_read(words: dict[str, tuple[int, ...]]) -> None:
    if any(indistinct_labels(words)):
        return
    branches = find_branches(words)
    paths = {label: tuple(branch.next_id.get(label) for branch in branches) for label in words}
    assert len(set(paths.values())) == len(words)
    assert 1 <= len(branches) < len(words)
