import pytest
from app.web.chat_session import pretty_json

ONE_LINE = '{"actions": [{"person": "红衣", "confidence": 0.5}]}'
LAID_OUT = '{\n  "actions": [\n    {\n      "person": "红衣",\n      "confidence": 0.5\n    }\n  ]\n}'


@pytest.mark.parametrize("answer", [ONE_LINE, f"```json\n{ONE_LINE}\n```", f"\n```\n{ONE_LINE}\n```\n", LAID_OUT])
def test_json_is_laid_out_whether_it_is_fenced_or_not(answer: str) -> None:
    assert pretty_json(answer) == LAID_OUT


@pytest.mark.parametrize(
    "answer",
    ["", "Two people stand there.", "42", "{}", '{"a": 1', f"Here:\n{ONE_LINE}", '{"a": 1, "a": 2}', "[" * 100_000],
)
def test_any_other_answer_stays_as_it_is(answer: str) -> None:
    assert pretty_json(answer) == answer
