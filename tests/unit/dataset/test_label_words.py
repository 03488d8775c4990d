from dataclasses import replace
from pathlib import Path

import pytest

from vigil.dataset.answers import TargetAnswer, descriptions
from vigil.dataset.check import indistinct_words, misread_answers
from vigil.dataset.examples import TrainingExample
from vigil.models.tokens import TokenizerCounter, load_token_counter
from vigil.questions import Question, list_questions, load_question
from vocabularies import NAMES, save_tokenizer

FIGHT = load_question("fight")
TASKS = [question for question in list_questions() if question.labels]
TINY_BASE = Path(__file__).resolve().parents[3] / "src/vigil/tiny/base"
EXAMPLE = TrainingExample(
    question=FIGHT.text, answer="是的，有人打架。", frames=("a.jpg",) * 6, clip="a", label="alarm", group="a"
)


@pytest.fixture(scope="module", params=[*NAMES, "tiny"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TokenizerCounter:
    if request.param == "tiny":
        return load_token_counter(TINY_BASE)
    return load_token_counter(save_tokenizer(request.param, tmp_path_factory.mktemp("model")))


def said(answer: str) -> TrainingExample:
    return replace(EXAMPLE, answer=answer)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_words_of_every_task_are_told_apart_and_its_answers_read(
    task: Question, tokenizer: TokenizerCounter
) -> None:
    answers = [
        TargetAnswer(label, text).text(task) for label in task.words() for text in (*descriptions(task, label), "")
    ]
    assert len(answers) > 4
    assert indistinct_words(task, tokenizer) == []
    assert misread_answers([said(answer) for answer in answers], task, tokenizer) == []


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
def test_a_word_that_goes_on_without_a_comma_teaches_another_token(tokenizer: TokenizerCounter) -> None:
    (misread,) = misread_answers([said("没有人打架。"), said("没有，画面平稳。")], FIGHT, tokenizer)
    assert misread == "'没有人打架。' begins with '没有人'"


def test_words_of_which_one_begins_the_other_are_named(tokenizer: TokenizerCounter) -> None:
    task = Question.with_two_labels(name="t", text=FIGHT.text, alarm_word="正常吗", normal_word="正常")
    (message,) = indistinct_words(task, tokenizer)
    assert message.startswith("the words '正常吗' and '正常' cannot be told apart, ")
    assert misread_answers([said("正常。")], task, tokenizer) == []
