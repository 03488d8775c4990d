from pathlib import Path

import pytest

from vigil.dataset.examples import Example
from vigil.dataset.tokens import FromAbove, example_tokens, load_tokenizer, split_words, visual_tokens
from vigil.errors import DatasetError
from vigil.tasks import load_task

FIGHT = load_task("fight")
TINY_BASE = Path(__file__).resolve().parents[3] / "src/vigil/tiny/base"
EXAMPLE = Example(
    question=FIGHT.question, answer="是的，有人打架。", frames=("a.jpg",) * 6, clip="a", label="alarm", group="a"
)


def test_pictures_take_a_token_for_32x32_pixels_of_a_pair() -> None:
    assert visual_tokens(6, (480, 256)) == 360
    assert visual_tokens(4, (128, 96)) == 24


def test_counting_from_above_never_falls_short_of_the_tokenizer() -> None:
    pytest.importorskip("tokenizers")
    exact = example_tokens(EXAMPLE, (128, 96), fps=2, text=load_tokenizer(TINY_BASE))
    assert 36 < exact <= example_tokens(EXAMPLE, (128, 96), fps=2, text=FromAbove())


def test_verdict_words_are_one_token_of_the_tiny_base() -> None:
    pytest.importorskip("tokenizers")
    assert split_words([EXAMPLE], FIGHT, load_tokenizer(TINY_BASE)) == []


def test_a_folder_without_tokenizer_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
