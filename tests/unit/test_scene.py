"""The form of an observation, and its line."""

import json

import pytest

from vigil.scene import JSON_TOKENS, LONGEST_ITEM, MOST_ITEMS, SCENE_FIELDS, SCENE_SCHEMA, scene_line, scene_question

SCENE = {
    "objects": ["ladder"],
    "people": ["man in red"],
    "actions": ["climbs"],
    "lights": "on",
    "place": "yard",
    "confidence": "high",
}


def test_an_answer_of_the_form_has_its_fields_and_a_line() -> None:
    reading = SCENE_SCHEMA.read(json.dumps(SCENE))
    assert reading.fields is not None and reading.fields.people == ("man in red",)
    assert scene_line(SCENE) == "climbs; man in red; ladder; yard; lights on"
    assert scene_line(SCENE | {"actions": [], "objects": [], "lights": "unclear"}) == "man in red; yard"
    assert scene_line({}) == "" and scene_line({"lights": "off"}, language="zh") == "灯关着"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"lights": "green"}, "lights must be one of"),
        ({"people": "nobody"}, "people must be a list"),
        ({"light": "on"}, "did you mean 'lights'"),
        ({"objects": [{"name": "x"}]}, "objects must be a list"),
    ],
)
def test_what_is_not_of_the_form_has_a_problem(changed: dict[str, object], problem: str) -> None:
    reading = SCENE_SCHEMA.read(json.dumps(SCENE | changed))
    assert reading.fields is None and problem in reading.problem


def test_the_longest_answer_fits_into_its_tokens() -> None:
    longest = {name: ["x" * LONGEST_ITEM] * MOST_ITEMS for name in ("objects", "people", "actions")}
    longest |= {"lights": "daylight", "place": "x" * LONGEST_ITEM, "confidence": "medium"}  # type: ignore[dict-item]
    assert list(longest) == list(SCENE_FIELDS)
    assert len(json.dumps(longest, separators=(",", ":"))) <= JSON_TOKENS


def test_the_question_is_in_words_or_json_in_either_language_or_ones_own_words() -> None:
    assert scene_question("json", words_tokens=60).schema is SCENE_SCHEMA
    words = scene_question("words", language="en", words_tokens=60)
    assert words.schema is None and words.answer_tokens == 60 and "one sentence" in words.text
    assert scene_question("words", text="What is there?", words_tokens=60).text == "What is there?"
