import asyncio
from dataclasses import replace

import pytest

from judging import SAMPLING, TASK
from scoring import brightness_server
from vigil.errors import EndpointError
from vigil.judge import Endpoint
from vigil.judge.contract import served_sampling
from vigil.manifest import Contract
from vigil.questions import load_question


def test_a_shipped_task_that_still_asks_the_same_is_itself() -> None:
    task = load_question("fight")
    assert Contract.of(task, SAMPLING).as_question() == task


def test_a_task_that_was_changed_since_asks_what_was_trained() -> None:
    old = replace(Contract.of(load_question("fight"), SAMPLING), question="有人打架吗?")
    found = old.as_question()
    assert found.text == "有人打架吗?" and found.label_of("noFight") == "normal"


def test_a_task_that_is_nowhere_is_made_from_the_contract() -> None:
    assert Contract.of(Contract.of(TASK, SAMPLING).as_question(), SAMPLING) == Contract.of(TASK, SAMPLING)


def test_a_server_tells_its_sampling_or_none() -> None:
    alias = Contract.of(TASK, SAMPLING).alias
    with brightness_server(models=["tiny"]) as silent:
        assert asyncio.run(served_sampling(Endpoint(url=silent.url))) is None
    with brightness_server(models=["tiny", alias]) as telling:
        assert asyncio.run(served_sampling(Endpoint(url=telling.url, model="tiny"))) == SAMPLING
        with pytest.raises(EndpointError, match="has no model"):
            asyncio.run(served_sampling(Endpoint(url=telling.url, model="other")))
