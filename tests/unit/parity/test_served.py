"""The server's side, asked over a real connection."""

import asyncio
from dataclasses import asdict
from pathlib import Path

import pytest

from made_dataset import make_dataset
from scripted_server import Reply, ScriptedServer, chat
from vigil.errors import EndpointError, UsageError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.manifest import Contract
from vigil.parity.examples import read_examples
from vigil.parity.served import ServedSide, TokenizeClient, checkpoint_folder
from vigil.questions import load_question


def _ids(server: ScriptedServer, folder: Path, *, count: int = 3) -> list[tuple[int, ...]]:
    examples = read_examples(make_dataset(folder, examples=count))

    async def ask() -> list[tuple[int, ...]]:
        async with TokenizeClient(Endpoint(url=server.url, api_key="key")) as asker:
            return await asker.prompt_ids(examples, model="tiny", fps=2.0, on_done=lambda: None)

    return asyncio.run(ask())


def _find(server: ScriptedServer, model: str = "") -> ServedSide:
    async def ask() -> ServedSide:
        async with TokenizeClient(Endpoint(url=server.url, model=model)) as asker:
            return await asker.find_model()

    return asyncio.run(ask())


def _card(name: str, root: str, parent: str | None = None) -> dict[str, object]:
    return {"id": name, "root": root, "parent": parent}


def test_each_example_is_asked_as_the_judge_asks(tmp_path: Path) -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.default = Reply(body={"prompt_token_ids": [1, 2, 3], "choices": []})
        assert _ids(server, tmp_path) == [(1, 2, 3)] * 3
        body = server.chats[0].body
    assert (body["max_tokens"], body["return_token_ids"]) == (1, True)
    video = body["messages"][0]["content"][0]["video_url"]["url"]
    assert video.startswith("data:video/jpeg;base64,")
    assert video.count(",") == 6


def test_a_server_that_hides_its_tokens_is_told(tmp_path: Path) -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.default = chat("是的")
        with pytest.raises(EndpointError, match="ignores return_token_ids"):
            _ids(server, tmp_path)


def test_a_refused_request_is_told_with_the_servers_words(tmp_path: Path) -> None:
    with ScriptedServer(models=["tiny"]) as server:
        server.default = Reply(status=400, body={"error": {"message": "at most 0 videos"}})
        with pytest.raises(EndpointError, match=r"400 - at most 0 videos"):
            _ids(server, tmp_path)


def test_the_model_is_found_with_its_contract_and_the_folder_of_its_base(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    cards = [
        _card("base", str(base)),
        _card("fight", "adapter", "base"),
        _card("vigil-contract:fps=2", "adapter", "base"),
    ]
    with ScriptedServer() as server:
        server.routes["/v1/models"] = Reply(body={"data": cards})
        assert _find(server, "base") == ServedSide(model="base", alias="", folder=base)
        assert _find(server, "fight") == ServedSide(model="fight", alias="vigil-contract:fps=2", folder=base)
        with pytest.raises(EndpointError, match="several models; name one with --model: base, fight"):
            _find(server)
        with pytest.raises(EndpointError, match="has no model 'other'; it serves base, fight"):
            _find(server, "other")


def test_the_contract_is_read_beside_the_list(tmp_path: Path) -> None:
    contract = Contract.of(load_question("fight"), FrameSampling(fps=3))
    with ScriptedServer(models=["tiny", "vigil-contract:fps=2"]) as server:
        server.routes["/vigil.json"] = Reply(body={"models": {"tiny": {"contract": asdict(contract)}}})
        assert (_find(server).alias, _find(server).context) == (contract.alias, 4096)


def test_a_model_on_another_machine_needs_its_folder(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        server.routes["/v1/models"] = Reply(body={"data": [_card("base", "/nowhere")]})
        served = _find(server)
    with pytest.raises(UsageError, match="--model-dir"):
        checkpoint_folder(served, None)
    assert checkpoint_folder(served, tmp_path) == tmp_path


def test_a_wrong_key_and_a_silent_server_are_told() -> None:
    with ScriptedServer(api_key="right") as server:
        url = server.url
        with pytest.raises(EndpointError, match="refused the key"):
            _find(server)
    with pytest.raises(EndpointError, match=r"vllm\.sh MODEL_DIR"):
        _find_at(url)


def _find_at(url: str) -> ServedSide:
    async def ask() -> ServedSide:
        async with TokenizeClient(Endpoint(url=url)) as asker:
            return await asker.find_model()

    return asyncio.run(ask())
