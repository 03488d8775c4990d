from dataclasses import replace
from pathlib import Path

import pytest

from vigil.dataset.answers import Answer, descriptions
from vigil.dataset.check import indistinct_words, misread_answers
from vigil.dataset.examples import Example
from vigil.models.tokens import TokenizerCounter, load_token_counter
from vigil.tasks import Label, Task, load_questions, load_task
from vocabularies import NAMES, save_tokenizer

FIGHT = load_task("fight")
TASKS = [question.task for question in load_questions() if question.task]
TINY_BASE = Path(__file__).resolve().parents[3] / "src/vigil/tiny/base"
EXAMPLE = Example(
    question=FIGHT.question, answer="是的，有人打架。", frames=("a.jpg",) * 6, clip="a", label="alarm", group="a"
)


@pytest.fixture(scope="module", params=[*NAMES, "tiny"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenizerCounter:
    if request.param == "tiny":
        return load_token_counter(TINY_BASE)
    return load_token_counter(save_tokenizer(request.param, tmp_path_factory.mktemp("model")))


def said(answer: str) -> Example:
    return replace(EXAMPLE, answer=answer)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_words_of_every_task_are_told_apart_and_its_answers_read(task: Task, tokenizer: TokenizerCounter) -> None:
    labels: tuple[Label, Label] = ("alarm", "normal")
    answers = [Answer(label, text).text(task) for label in labels for text in (*descriptions(task, label), "")]
    assert len(answers) > 4
    assert indistinct_words(task, tokenizer) == []
    assert misread_answers([said(answer) for answer in answers], task, tokenizer) == []


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
def test_a_word_that_goes_on_without_a_comma_teaches_another_token(tokenizer: TokenizerCounter) -> None:
    (misread,) = misread_answers([said("没有人打架。"), said("没有，画面平稳。")], FIGHT, tokenizer)
    assert misread == "'没有人打架。' begins with '没有人'"


def test_words_of_which_one_begins_the_other_are_named(tokenizer: TokenizerCounter) -> None:
    task = replace(FIGHT, alarm_word="正常吗", normal_word="正常")
    (message,) = indistinct_words(task, tokenizer)
    assert message.startswith("the words '正常吗' and '正常' cannot be told apart, ")
    assert misread_answers([said("正常。")], task, tokenizer) == []
