"""A server tells its contracts beside its list of models, in the list as older ones do, or not at all."""

import asyncio
import logging
from dataclasses import asdict, replace
from typing import Any

import pytest

from judging import SAMPLING, TASK
from scripted_server import Reply, Request, ScriptedServer, error
from vigil.errors import EndpointUnreachable
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.judge.contract import served_model, served_sampling
from vigil.judge.discovery import ServedModel, list_models, open_openai_client
from vigil.manifest import Contract
from waiting import HANG_S

CONTRACT = Contract.of(TASK, SAMPLING)
OTHER = Contract.of(TASK, FrameSampling(fps=4))


def page(**contracts: Any) -> Reply:
    models = {name: {"contract": asdict(one) if isinstance(one, Contract) else one} for name, one in contracts.items()}
    return Reply(body={"format": 1, "models": models})


def models_of(server: ScriptedServer) -> list[ServedModel]:
    async def ask() -> list[ServedModel]:
        endpoint = Endpoint(url=server.url, api_key=server.api_key or "")
        async with open_openai_client(endpoint, timeout_s=HANG_S, retries=0) as client:
            return await list_models(client, endpoint)

    return asyncio.run(ask())


def test_each_model_has_the_contract_that_the_page_tells_of_it() -> None:
    with ScriptedServer(models=["base", "fight", "plain"]) as server:
        server.routes["/vigil.json"] = page(base=OTHER, fight=CONTRACT)
        found = {model.name: model.alias for model in models_of(server)}
        assert asyncio.run(served_sampling(Endpoint(url=server.url, model="fight"))) == SAMPLING
    assert found == {"base": OTHER.alias, "fight": CONTRACT.alias, "plain": ""}


def test_the_page_comes_before_the_name_in_the_list() -> None:
    with ScriptedServer(models=["tiny", OTHER.alias]) as server:
        server.routes["/vigil.json"] = page(tiny=CONTRACT)
        assert [model.alias for model in models_of(server)] == [CONTRACT.alias]


def test_an_older_server_tells_it_in_its_list() -> None:
    with ScriptedServer(models=["tiny", CONTRACT.alias]) as server:
        assert [(model.name, model.alias) for model in models_of(server)] == [("tiny", CONTRACT.alias)]


def test_the_page_is_asked_for_with_the_key() -> None:
    with ScriptedServer(models=["tiny"], api_key="right") as server:
        server.routes["/vigil.json"] = page(tiny=CONTRACT)
        assert models_of(server)[0].alias == CONTRACT.alias


@pytest.mark.parametrize(
    "answer",
    [
        error(404, "no route"),
        error(403, "not for you"),
        error(405, "no GET"),
        error(500, "what?"),
        Reply(status=302, headers={"Location": "http://127.0.0.1:9/vigil.json"}, body=b""),
        Reply(body=b"<html>a router's login page</html>"),
        Reply(body=[]),
        Reply(body={"models": ["tiny"]}),
        Reply(body={"models": {"tiny": "fight"}}),
        Reply(body=b"[" * 2_000_000),
    ],
)
def test_a_server_of_another_kind_tells_none(answer: Reply) -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/vigil.json"] = answer
        assert [(model.name, model.alias) for model in models_of(server)] == [("tiny", "")]


def test_a_contract_of_a_later_version_is_read_for_what_we_know() -> None:
    later = asdict(CONTRACT) | {"weather": ["a", "b"]}
    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/vigil.json"] = page(tiny=later)
        assert models_of(server)[0].alias == CONTRACT.alias


@pytest.mark.parametrize(
    "damaged", [3, {}, asdict(CONTRACT) | {"sampling": {"fps": -1}}, asdict(CONTRACT) | {"task": 3}]
)
def test_a_contract_that_cannot_be_read_is_warned_of(damaged: Any, caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer(models=["tiny"]) as server, caplog.at_level(logging.WARNING):
        server.routes["/vigil.json"] = page(tiny=damaged)
        assert models_of(server)[0].alias == ""
    assert "model tiny: the contract that its server declares cannot be read" in caplog.text


@pytest.mark.parametrize("fault", [*(error(status, "?") for status in (429, 500, 502, 503, 504)), Reply(hang_up=True)])
def test_a_server_that_is_being_started_is_asked_again(fault: Reply) -> None:
    answers = [fault, Reply(body={"models": {"tiny": {"contract": asdict(CONTRACT)}}})]

    def answer(_: Request) -> Reply:
        return answers.pop(0)

    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/vigil.json"] = answer
        assert models_of(server)[0].alias == CONTRACT.alias


def test_a_server_that_stays_away_is_away_and_not_without_a_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigil.judge.faults.BUSY_S", 0.3)
    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/vigil.json"] = error(503, "starting")
        with pytest.raises(EndpointUnreachable, match="answers 503"):
            models_of(server)
        server.routes["/vigil.json"] = Reply(hang_up=True)
        with pytest.raises(EndpointUnreachable, match="broke the connection"):
            asyncio.run(served_model(Endpoint(url=server.url)))


def test_a_gateways_prefix_is_kept() -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.routes["/team/v1/models"] = Reply(body={"data": [{"id": "tiny", "object": "model"}]})
        server.routes["/team/vigil.json"] = page(tiny=replace(CONTRACT, task="u"))
        endpoint = Endpoint(url=server.url.replace("/v1", "/team/v1"))
        assert asyncio.run(served_model(endpoint)).alias == replace(CONTRACT, task="u").alias
