from string import Formatter

import pytest
from app.language import LANGUAGES, choose_language, load_texts, translator


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys() -> None:
    english, chinese = (load_texts(language) for language in LANGUAGES)
    assert english.keys() == chinese.keys()
    assert len(english) > 50


def test_both_languages_fill_in_the_same_words() -> None:
    english, chinese = (load_texts(language) for language in LANGUAGES)
    differing = {key for key in english if placeholders(english[key]) != placeholders(chinese[key])}
    assert differing == set()


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en-GB,en;q=0.9", "en"),
        (None, "de,zh;q=0.3,en;q=0.7", "en"),
        (None, "fr", "en"),
        (None, "", "en"),
        (None, ";;q=x,,zh-TW;q=0.5", "zh"),
        ("zh", "en", "zh"),
        ("en", "zh", "en"),
        ("../zh", "zh", "zh"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browsers(cookie: str | None, header: str, language: str) -> None:
    assert choose_language(cookie, header) == language


def test_words_are_filled_in() -> None:
    assert translator("en")("chat.upload_limit", limit=5, minutes=60).startswith("One file at a time, up to 5 MB")
