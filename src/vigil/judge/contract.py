"""Resolves the contract under which frames are sent: the manifest's, the served model's, or the given settings."""

from dataclasses import replace
from functools import partial

from vigil.errors import ConfigError, UsageError
from vigil.frames import FrameSampling
from vigil.judge.discovery import ServedModel, find_model, open_openai_client
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import asking_while_busy
from vigil.manifest import Contract, parse_alias
from vigil.questions import Task, load_question

TIMEOUT_S = 20.0


def task_of(contract: Contract) -> Task:
    """The task of a contract: the shipped task of that name if it is identical, else one built from the contract."""
    try:
        task = load_question(contract.task)
    except (ConfigError, UsageError):
        task = None
    if task is not None and Contract.of(task, contract.sampling) == contract:
        return with_description(task, contract)
    return Task(
        name=contract.task,
        question=contract.question,
        alarm_word=contract.alarm_word,
        normal_word=contract.normal_word,
        describe=contract.describe or (task.describe if task else ""),
        language="en" if contract.alarm_word.isascii() else "zh",
        alarm_folders=task.alarm_folders if task else ("alarm",),
        normal_folders=task.normal_folders if task else ("normal",),
    )


def with_description(task: Task, contract: Contract) -> Task:
    """The task with the description question of the contract, if the contract is of this task and has one."""
    return replace(task, describe=contract.describe or task.describe) if contract.task == task.name else task


async def served_sampling(endpoint: Endpoint) -> FrameSampling | None:
    """The frame sampling that the served model declares; None if it declares none. Raises EndpointError."""
    model = await served_model(endpoint)
    return parse_alias(model.alias) if model.alias else None


async def served_model(endpoint: Endpoint) -> ServedModel:
    """The model that an endpoint refers to; raises EndpointError if it serves none of that name, or several."""
    async with open_openai_client(endpoint, timeout_s=TIMEOUT_S, retries=2) as client:
        return await asking_while_busy(partial(find_model, client, endpoint))
