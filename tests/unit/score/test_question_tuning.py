"""Wordings of a question: what a file may hold, how they are ranked, and what a model writes."""

from pathlib import Path

import pytest

from scoring import answer
from vigil.errors import UsageError
from vigil.questions import load_question, question_as_yaml, read_question
from vigil.report.tables import question_table
from vigil.score.question_tuning import TriedQuestion, candidates_of, rank, read_candidates
from vigil.score.question_writer import wordings_in
from vigil.verdict import Cause

OLD = load_question("fight_en")
ZH = load_question("fight")


def test_a_file_of_wordings_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "wordings.txt"
    lines = [
        "# by hand",
        "",
        "Do people hit each other?",
        "Do people hit each other?",
        '"Yes" or "No": a brawl?',
        OLD.text,
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    found, refused = read_candidates(path, old=OLD)
    assert [each.text for each in found] == [
        'Do people hit each other? If so, answer "Yes", if not, answer "No".',
        '"Yes" or "No": a brawl?',
    ]
    assert refused == [] and {each.name for each in found} == {"fight_en"} and found[0].labels == OLD.labels


def test_a_chinese_wording_names_the_words_in_chinese() -> None:
    (found,), _ = candidates_of(["有人互相推搡吗？"], old=ZH)
    assert found.text == "有人互相推搡吗？如果是，请回答“是的”，如果不是，请回答“没有”"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no wording"),
        (b"# nothing\n", "holds no wording"),
        (b"\xff\xfe\xff", "is no text in UTF-8"),
        (b"Is it <video>?\n", "contains '<video>'"),
        (b"Is it \x1b[31mred?\n", "has control characters"),
        (b"x" * 3000, "has 3000 characters; 2000 are the most"),
        (b"x" * 2_000_000, "is too long"),
        ("\n".join(f"Is it {n}?" for n in range(51)).encode(), "51 wordings are more than 50"),
    ],
)
def test_a_file_that_holds_none_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "wordings.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_candidates(path, old=OLD)
    assert said in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_candidates(tmp_path / "none.txt", old=OLD)


def test_one_bad_line_takes_no_other_with_it() -> None:
    found, refused = candidates_of(["Is it <image>?", "Do people fight?"], old=OLD)
    assert len(found) == len(refused) == 1 and "'<image>'" in refused[0]


def tried(text: str, *p_alarm: float | None) -> TriedQuestion:
    """Answers to three alarms, then three normal clips."""
    labels = ["alarm"] * 3 + ["normal"] * 3
    cause = [Cause.OUTSIDE if p is None else None for p in p_alarm]
    answers = [
        answer(p, label, clip=str(number), cause=cause[number])
        for number, (p, label) in enumerate(zip(p_alarm, labels, strict=True))
    ]
    return TriedQuestion.of(candidates_of([text], old=OLD)[0][0], answers, threshold=0.5)


def test_the_best_area_comes_first_with_its_paired_difference_and_the_old_one_of_equals() -> None:
    old = tried("old", 0.9, 0.8, 0.3, 0.4, 0.2, 0.1)
    same, worse, better = (
        tried("same", 0.8, 0.7, 0.3, 0.4, 0.2, 0.1),
        tried("worse", 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
        tried("better", 0.9, 0.8, 0.7, 0.3, 0.2, 0.1),
    )
    ranked = rank(old, [same, worse, better], threshold=0.5)
    assert [each.question.text.split()[0] for each in ranked] == ["better", "old", "same", "worse"]
    assert ranked[0].comparison is not None
    assert ranked[0].comparison.roc_auc_difference == pytest.approx(1.0 - 8 / 9)
    table = question_table(ranked)
    assert "the old question" in table and "1.000" in table and "better" in table


def test_a_wording_that_is_seldom_answered_is_no_good_one() -> None:
    seldom = tried("seldom", 0.9, None, None, None, None, 0.1)
    assert seldom.unknown == 4 and seldom.roc_auc < 0.5


def test_what_a_model_writes_is_read_without_numbers_and_thoughts() -> None:
    text = '<think>hm</think>1. "Do people hit?"\n2) Is there a brawl?\n\n- Is there a brawl?\n***\n3、有人打架吗？'
    assert wordings_in(text) == ["Do people hit?", "Is there a brawl?", "有人打架吗？"]
    assert wordings_in("") == []


@pytest.mark.parametrize("name", ["fight", "fight_en", "fall", "intrusion_en"])
def test_a_question_comes_back_from_its_file(tmp_path: Path, name: str) -> None:
    question = load_question(name)
    path = tmp_path / f"{name}.yaml"
    path.write_text(question_as_yaml(question), encoding="utf-8")
    assert read_question(path) == question
