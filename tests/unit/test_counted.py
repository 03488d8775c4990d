import pytest

from vigil.counted import counted


@pytest.mark.parametrize(("number", "words"), [(0, "0 false alarms"), (1, "1 false alarm"), (2, "2 false alarms")])
def test_one_is_one_and_all_else_is_several(number: int, words: str) -> None:
    assert counted(number, "false alarm") == words


def test_a_plural_of_its_own_is_taken() -> None:
    assert counted(2, "analysis", plural="analyses") == "2 analyses"
