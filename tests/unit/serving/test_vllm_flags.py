"""Flags are found in every spelling that vLLM takes."""

import pytest

from vigil.serving.vllm_flags import as_arguments, as_tokens, flags_of, given_flags, given_value, means, switched_on


def test_flags_and_numbers_are_found_in_every_spelling() -> None:
    assert given_flags(["--a-b", "1", "--c_d=2", "--e.f", "3", "--no-g", "-h"]) == {"--a-b", "--c-d", "--e", "--g"}
    assert given_value(["--a_b=12"], "--a-b") == "12"
    assert given_value(["--a-b", "12", "--a-b", "13"], "--a-b") == "13"
    assert given_value(["--a-c", "12"], "--a-b") == ""
    assert [as_tokens(word) for word in ("12", "8k", "8K", "1.5k", "1m")] == [12, 8000, 8192, 1500, 1_000_000]
    assert [as_tokens(word) for word in ("", "auto", "-1", "8kB")] == [None] * 4


def test_the_beginning_of_a_flag_means_it() -> None:
    assert means("--api-key", ["--api-k"]) and means("--api-key", ["--api-key"])
    assert not means("--api-key", ["--api-key-file", "--", "-a"])


def test_settings_become_flags() -> None:
    flags = flags_of({"a_b": True, "c": False, "d": [1, 2], "e": {"f": 3}, "g": "h"})
    assert as_arguments(flags) == ("--a-b", "--no-c", "--d", "1", "2", "--e", '{"f": 3}', "--g", "h")


@pytest.mark.parametrize(
    ("words", "settings", "on"),
    [
        (["--a-b"], {}, True),
        (["--a_b"], {}, True),
        (["--a-b", "--no-a-b"], {}, False),
        (["--no-a-b", "--a-b"], {"a_b": False}, True),
        ([], {"a_b": True}, True),
        ([], {"a-b": False}, False),
        (["--no-a-b"], {"a_b": True}, False),
        (["--no-a_b"], {"a_b": True}, False),
        (["--a-b-c", "a-b"], {}, False),
    ],
)
def test_the_last_word_on_a_switch_counts(words: list[str], settings: dict[str, object], on: bool) -> None:
    assert switched_on("--a-b", words, settings) is on
