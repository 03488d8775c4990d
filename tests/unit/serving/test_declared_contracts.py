"""What a server tells of its models' contracts, of those that it was started with and of those that came later."""

import asyncio
import importlib.util
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

import vigil.serving
from model_folder import contract, make_adapter, make_model
from vigil.judge.declared_contracts import read_declared_contracts
from vigil.manifest import Contract
from vigil.questions import load_question
from vigil.serving.command import ServePlan
from vigil.serving.declared_contracts import CONTRACTS_VARIABLE
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.settings import ServeSettings

PAGE = Path(vigil.serving.__file__).parents[1] / "serving_env" / "vigil_contracts.py"


def _plan(
    model: Path, *, overrides: ContractOverrides | None = None, adapters: tuple[str, ...] = (), alias: bool = False
) -> ServePlan:
    run = model.parent / "run"
    return plan_server(
        model, settings=ServeSettings(), overrides=overrides, adapters=adapters, templates=run, alias=alias
    )


def _page(plan: ServePlan, monkeypatch: pytest.MonkeyPatch, *later: dict[str, Any]) -> dict[str, Contract]:
    """What a client reads of the page that the plan's server answers, with models that were loaded later."""
    spec = importlib.util.spec_from_file_location("vigil_contracts", PAGE)
    assert spec is not None and spec.loader is not None and plan.contracts is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv(CONTRACTS_VARIABLE, str(plan.contracts))
    cards = [{"id": name, "root": str(plan.model.path), "parent": None} for name in plan.names]
    cards += [{"id": one.name, "root": str(one.path), "parent": plan.name} for one in plan.adapters]
    sent: list[MutableMapping[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (scope["path"], scope["headers"]) == ("/v1/models", [(b"authorization", b"Bearer k")])
        body = json.dumps({"data": [*cards, *later]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body[:20], "more_body": True})
        await send({"type": "http.response.body", "body": body[20:]})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    headers = [(b"authorization", b"Bearer k")]
    scope = {"type": "http", "method": "GET", "path": "/vigil.json", "headers": headers}
    asyncio.run(module.ContractPage(app)(scope, None, send))
    assert sent[0]["status"] == 200
    return read_declared_contracts(sent[1]["body"])


def test_the_model_is_listed_once_and_its_contract_told_beside_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = contract(max_pixels=65_536)
    plan = _plan(make_model(tmp_path / "fight", held=held))
    assert plan.names == ("fight",)
    assert _page(plan, monkeypatch) == {"fight": held}


def test_each_adapter_has_a_contract_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fall = Contract.of(load_question("fall"), contract().sampling)
    words = (
        f"fight={make_adapter(tmp_path / 'a', held=contract())}",
        f"fall={make_adapter(tmp_path / 'b', held=fall)}",
        f"plain={make_adapter(tmp_path / 'c')}",
    )
    plan = _plan(make_model(tmp_path / "base", held=contract()), adapters=words)
    assert _page(plan, monkeypatch) == {"base": contract(), "fight": contract(), "fall": fall}


def test_an_adapter_that_was_loaded_later_tells_its_own_as_the_server_reads_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(make_model(tmp_path / "base", held=contract(fps=2)))
    fall = Contract.of(load_question("fall"), contract(fps=4).sampling)
    adapter = make_adapter(tmp_path / "later", held=fall)
    bare = make_adapter(tmp_path / "bare")
    later = [
        {"id": "fall@2", "root": str(adapter), "parent": "base"},
        {"id": "bare", "root": str(bare), "parent": "base"},
        {"id": "gone", "root": str(tmp_path / "gone"), "parent": "base"},
    ]
    told = _page(plan, monkeypatch, *later)
    assert told == {"base": contract(fps=2), "fall@2": Contract.of(load_question("fall"), contract(fps=2).sampling)}


def test_without_a_contract_none_is_told_whatever_lies_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(make_model(tmp_path / "fight", held=contract()), overrides=ContractOverrides(no_manifest=True, fps=5))
    assert _page(plan, monkeypatch) == {}


def test_for_older_clients_the_list_tells_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = contract()
    plan = _plan(make_model(tmp_path / "fight", held=held), alias=True)
    assert plan.names == ("fight", held.alias)
    assert _page(plan, monkeypatch) == {"fight": held}


def test_the_file_is_the_same_for_the_same_contracts(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    first, second = _plan(model), _plan(model)
    assert first.contracts == second.contracts and first.contracts is not None
    assert json.loads(first.contracts.read_text())["models"]["fight"] == contract().as_json()
