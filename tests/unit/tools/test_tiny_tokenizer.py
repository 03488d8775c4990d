"""The shipped base cuts every text of the project as Qwen3-VL's own vocabulary does."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tools.tiny_base.questions import Scenery, describe_question, digit_question, image_question, yes_no_question
from tools.tiny_base.texts import exact_texts, frame_times
from tools.tiny_base.vocabulary import QWEN3_VL, load_vocabulary, read_vocabulary

from vigil.config import config_root, read_yaml
from vigil.dataset.answers import TargetAnswer, descriptions
from vigil.questions import LabelName, Question, list_questions
from vigil.tiny import BASE_FOLDER, TASK_FILE
from vocabularies import tokenizer_of

MEND = "the base lacks tokens for it: run PYTHONPATH=src .venv-train/bin/python -m tools.tiny_base.train widen"
FILES = [*sorted((config_root() / "tasks").glob("*.yaml")), TASK_FILE]
QUESTIONS = list_questions()
TASKS = [question for question in QUESTIONS if question.labels]
CLASSES = "周界翻越 禁区闯入 夜间徘徊 跌倒 剧烈冲突 危险工具 烟雾 异常声响 设备异常 正常".split()  # noqa: SIM905
EVERYDAY = (
    "请描述画面中发生了什么。",
    "视频中有没有人摔倒？请只回答是或否。",
    "画面左边穿红色衣服的男子在做什么？",
    "Is anybody lying on the ground? Answer yes or no.",
    "What happens in this video? Describe it in one sentence.",
)


@functools.cache
def shipped() -> Tokenizer:
    return Tokenizer.from_file(str(BASE_FOLDER / "tokenizer.json"))


def wrongly_cut(*texts: str) -> list[tuple[str, list[str], list[str]]]:
    """Texts that the shipped tokenizer cuts otherwise than the true one, with both cuts."""
    real = tokenizer_of(QWEN3_VL)
    pairs = [(text, shipped().encode(text).tokens, real.encode(text).tokens) for text in texts]
    return [(text, ours, theirs) for text, ours, theirs in pairs if ours != theirs]


def strings(data: object) -> list[str]:
    if isinstance(data, dict):
        # No model reads the names of folders.
        return [text for key, value in data.items() if not key.endswith("folders") for text in strings(value)]
    if isinstance(data, list):
        return [text for value in data for text in strings(value)]
    return [data] if isinstance(data, str) else []


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_text_of_a_task_is_cut_as_the_real_vocabulary_cuts_it(file: object) -> None:
    texts = strings(read_yaml(file))  # type: ignore[arg-type]
    assert texts and not wrongly_cut(*texts), MEND


def test_words_classes_letters_times_and_everyday_questions_are_cut_alike() -> None:
    words = ["是的", "没有", "是", "否", "有", "无", "正常", "异常", "Yes", "No", "yes", "no", *CLASSES, *"ABCDEFGHIJ"]
    followed = [f"{word}{mark}" for word in words for mark in ("", "，", "。", ", ", ".", "<|im_end|>")]
    assert not wrongly_cut(*followed, *frame_times(), *EVERYDAY), MEND


@given(st.data())
def test_a_whole_conversation_of_any_task_is_cut_alike(data: st.DataObject) -> None:
    task: Question = data.draw(st.sampled_from(TASKS))
    label: LabelName = data.draw(st.sampled_from([*task.words()]))
    description = data.draw(st.sampled_from(["", *descriptions(task, label)]))
    fps = data.draw(st.sampled_from([0.5, 1.0, 2.0, 4.0, 5.0, 10.0, 25.0, 30.0]))
    pairs = data.draw(st.integers(1, 40))
    marks = "".join(
        f"<{(2 * pair + 0.5) / fps:.1f} seconds><|vision_start|><|video_pad|><|vision_end|>" for pair in range(pairs)
    )
    answer = TargetAnswer(label, description).text(task)
    whole = f"<|im_start|>user\n{marks}{task.text}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
    assert not wrongly_cut(whole), MEND


@given(st.integers(0, 2**32 - 1))
def test_what_the_base_is_asked_and_says_is_cut_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    behaviours = (
        "standing",
        "walking",
        "talking",
        "running",
        "dancing",
        "sitting",
        "bending",
        "lying",
        "hugging",
        "fighting",
    )
    people = tuple((int(rng.integers(10)), str(rng.choice(behaviours))) for _ in range(int(rng.integers(6))))
    scenery = Scenery(rng.integers(0, 10, 31), people)
    ask = (digit_question, yes_no_question, image_question, describe_question)[int(rng.integers(4))]
    assert not wrongly_cut(*ask(rng, scenery)), MEND


def test_the_shipped_vocabulary_is_a_part_of_the_real_one_in_its_order() -> None:
    real, ours = load_vocabulary(), read_vocabulary(BASE_FOLDER / "tokenizer.json")
    assert ours == real.with_merges(set(ours.merges))
    assert set(ours.merges) >= set(real.needed_for(exact_texts()).merges), MEND
    assert shipped().normalizer is not None and shipped().encode("e\u0301").tokens == shipped().encode("é").tokens


def test_the_added_tokens_are_the_real_ones_in_their_order() -> None:
    def added(tokenizer: Tokenizer) -> list[tuple[str, bool]]:
        return [(token.content, token.special) for _, token in sorted(tokenizer.get_added_tokens_decoder().items())]

    assert added(shipped()) == added(tokenizer_of(QWEN3_VL))
    assert shipped().get_vocab_size() == len(read_vocabulary(BASE_FOLDER / "tokenizer.json").tokens) + 26


def test_no_verdict_word_is_one_token_that_is_two_in_the_real_vocabulary() -> None:
    assert shipped().encode("是的").tokens != shipped().encode("没有").tokens
    assert [len(shipped().encode(word).ids) for word in ("是的", "没有", "Yes", "No")] == [2, 1, 1, 1]


texts = st.text(st.characters(codec="utf-8"), max_size=30)


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_part_of_the_vocabulary_cuts_the_texts_that_it_was_made_for_as_the_whole(made_for: list[str]) -> None:
    part = read_vocabulary(BASE_FOLDER / "tokenizer.json").needed_for(made_for).tokenizer()
    assert [part.encode(text).tokens for text in made_for] == [shipped().encode(text).tokens for text in made_for]
