"""Qwen's true vocabularies: what the project's words split into, and where an answer is told from another."""

import pytest
from tools.tiny_base.vocabulary import QWEN3_5, QWEN3_VL

from vigil.label_tokens import find_branches
from vigil.questions import list_questions
from vocabularies import NAMES, ids, tokenizer_of

CLASSES = "周界翻越 禁区闯入 夜间徘徊 跌倒 剧烈冲突 危险工具 烟雾 异常声响 设备异常 正常".split()  # noqa: SIM905
TASKS = [question for question in list_questions() if question.labels]

SPLIT = {
    "是的": ((20412, 9370), (110205,)),
    "没有": ((80443,), (96487,)),
    "是": ((20412,), (95761,)),
    "否": ((32376,), (96994,)),
    "有": ((18830,), (95762,)),
    "无": ((42192,), (95979,)),
    "正常": ((100416,), (97811,)),
    "异常": ((70633,), (100016,)),
    "没有人": ((106468,), (109914,)),
    "Yes": ((9454,), (9175,)),
    "No": ((2753,), (2665,)),
    "yes": ((9693,), (9405,)),
    "no": ((2152,), (2083,)),
    "<0.2 seconds>": ((27, 15, 13, 17, 6486, 29), (27, 15, 13, 17, 6283, 29)),
}
FIRST = {
    QWEN3_VL: (40542, 113309, 107884, 100264, 110963, 104264, 99752, 70633, 101044, 100416),
    QWEN3_5: (96384, 121248, 109976, 123952, 113920, 98693, 119144, 100016, 96958, 97811),
}


@pytest.mark.parametrize("text", SPLIT)
def test_words_and_times_split_into_the_published_tokens(text: str) -> None:
    assert tuple(ids(name, text) for name in NAMES) == SPLIT[text]


@pytest.mark.parametrize("name", NAMES)
def test_ten_classes_and_ten_letters_are_told_apart_by_their_first_tokens(name: str) -> None:
    classes = {word: ids(name, word) for word in CLASSES}
    assert tuple(first for first, *_ in classes.values()) == FIRST[name]
    for words in (classes, {letter: ids(name, letter) for letter in "ABCDEFGHIJ"}):
        (branch,) = find_branches(words)
        assert (branch.shared_ids, len(branch.token_ids)) == ((), 10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_task_is_told_apart_by_the_first_token_of_each_answer(name: str, task: object) -> None:
    from vigil.questions import Question

    assert isinstance(task, Question)
    words = {label: ids(name, word) for label, word in task.words().items()}
    (branch,) = find_branches(words)
    assert branch.shared_ids == ()
    for label, word in task.words().items():
        for answer in (f"{word}，画面中", f"{word}, people", f"{word}。", f"{word}.", word):
            assert ids(name, answer)[0] == branch.next_id[label], answer


@pytest.mark.parametrize("name", NAMES)
def test_a_merge_list_gives_back_what_was_split(name: str) -> None:
    texts = [
        "请分析这个视频,是否有打架斗殴等异常行为。",
        "It's 12:30\n\n  é e\u0301 \t🔥 是的，没有。",
        "<|im_start|>user\n",
    ]
    for text in texts:
        tokenizer = tokenizer_of(name)
        back = tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False)
        assert back == text.replace("e\u0301", "é")


def test_the_added_tokens_follow_the_ranks_in_qwen3s_published_order() -> None:
    marks = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|video_pad|>",
        "<tool_call>",
        "</think>",
    ]
    assert [ids(QWEN3_VL, mark) for mark in marks] == [
        (151643,), (151644,), (151645,), (151652,), (151656,), (151657,), (151668,),
    ]  # fmt: skip
