"""What a question in the chat asks of every window: a verdict where it is a task's, else words."""

from pathlib import Path

import pytest
from app.web.chat_questions import WindowQuestions

from rooms import context_of
from vigil.frames import FrameSampling
from vigil.judge.discovery import ServedModel
from vigil.manifest import Contract
from vigil.questions import load_question

FIGHT = load_question("fight")
SERVED = ServedModel(name="fight", alias=Contract.of(FIGHT, FrameSampling()).alias, base="", max_model_len=4096)


@pytest.fixture
def windows(tmp_path: Path) -> WindowQuestions:
    return WindowQuestions(context_of(tmp_path))


def test_the_question_that_the_model_was_trained_on_is_its_task(windows: WindowQuestions) -> None:
    found = windows.question_of(f" {FIGHT.text}\n", SERVED)
    assert (found.name, found.text) == ("fight", FIGHT.text) and found.labels


def test_a_question_that_names_both_verdict_words_gets_verdicts(windows: WindowQuestions) -> None:
    found = windows.question_of("Is somebody on the roof? Answer Yes or No.", SERVED)
    assert found.text == "Is somebody on the roof? Answer Yes or No."
    assert found.alarm_word == "Yes"


def test_any_other_question_gets_words(windows: WindowQuestions) -> None:
    found = windows.question_of("What happens?", SERVED)
    assert (found.name, found.labels) == ("own", ())
