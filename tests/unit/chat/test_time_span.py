import pytest

from vigil.chat.time_span import TimeSpan, find_time_span
from vigil.questions import list_questions

RANGES = {
    "描述一下第三秒到第五秒": (3, 5),
    "描述一下第3秒到第5秒的画面": (3, 5),
    "第三到第五秒发生了什么？": (3, 5),
    "3到5秒发生了什么": (3, 5),
    "三秒至五秒之间有几个人": (3, 5),
    "从第十二秒到第二十三秒": (12, 23),
    "第一百零五秒到第一百一十秒": (105, 110),
    "1分20秒到1分30秒": (80, 90),
    "一分二十秒到一分半": (80, 90),
    "1到2分钟有人吗": (60, 120),
    "0:03-0:05 发生了什么": (3, 5),
    "00:03 到 00:05 之间": (3, 5),
    "０:０３到０:０５": (3, 5),
    "3秒-5秒": (3, 5),
    "3.5~5.5秒": (3.5, 5.5),
    "Describe what happens from 3 s to 5 s": (3, 5),
    "from 3 to 5 seconds": (3, 5),
    "between 3 and 5 seconds, who falls?": (3, 5),
    "between 0:03 and 0:05.5": (3, 5.5),
    "What is between 1:02:03 and 1:02:10?": (3723, 3730),
    "3s–5s": (3, 5),
    "3-5 sec": (3, 5),
    "from the third to the fifth second": (3, 5),
    "from the first second to the third second": (1, 3),
    "seconds 3 to 5": (3, 5),
    "from second 3 to second 5": (3, 5),
    "from twenty-one to thirty seconds": (21, 30),
    "from 1 min 20 s to 1 min 30 s": (80, 90),
    "1m20s to 1m30s": (80, 90),
    "from 5 s to 3 s": (3, 5),
    "the first 5 seconds": (0, 5),
    "前五秒里有什么": (0, 5),
}


@pytest.mark.parametrize(("question", "ends"), RANGES.items())
def test_a_range_in_a_question_is_read(question: str, ends: tuple[float, float]) -> None:
    assert find_time_span(question) == TimeSpan(start_s=ends[0], end_s=ends[1])


@pytest.mark.parametrize(
    ("question", "at_s"),
    [
        ("第八秒有人摔倒吗", 8),
        ("What happens at 0:08?", 8),
        ("who is there at 8 s?", 8),
        ("在1:20发生了什么", 80),
        ("8秒处是谁", 8),
        ("at second 8, who moves?", 8),
    ],
)
def test_a_moment_in_a_question_is_read(question: str, at_s: float) -> None:
    found = find_time_span(question)
    assert found == TimeSpan(start_s=at_s, end_s=at_s) and found.is_moment


@pytest.mark.parametrize(
    "question",
    [
        "What happens?",
        "有没有打架?",
        "Are there 3 to 5 people?",
        "有三到五个人吗",
        "Is the first person taller than the second?",
        "第一个人在做什么",
        "三个人里有两个在跑吗?用一句话回答",
        "Answer within 2 sentences.",
        "一分为二地看这个问题",
        "",
    ],
)
def test_a_question_without_a_time_has_no_span(question: str) -> None:
    assert find_time_span(question) is None


def test_no_question_to_start_from_is_taken_for_a_range() -> None:
    assert [q.name for q in list_questions() if find_time_span(q.text)] == []


def test_the_end_is_counted_from_the_length() -> None:
    assert find_time_span("the last 5 seconds") == TimeSpan(start_s=0, end_s=5, from_end=True)
    assert find_time_span("最后三秒") == TimeSpan(start_s=0, end_s=3, from_end=True)
    assert TimeSpan(start_s=0, end_s=5, from_end=True).within(30, moment_s=2.5) == TimeSpan(start_s=25, end_s=30)


def test_a_span_is_cut_at_the_length_and_a_moment_is_as_long_as_a_window() -> None:
    assert TimeSpan(start_s=8, end_s=8).within(30, moment_s=2.5) == TimeSpan(start_s=8, end_s=10.5)
    assert TimeSpan(start_s=28, end_s=40).within(30, moment_s=2.5) == TimeSpan(start_s=28, end_s=30)
    assert TimeSpan(start_s=8, end_s=9).within(None, moment_s=2.5) == TimeSpan(start_s=8, end_s=9)
