"""The real vLLM under an operator's own settings."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from media_trap import media_trap
from model_folder import altered_base
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Judge
from vigil.judge.declared_contracts import read_declared_contracts
from vigil.manifest import Contract, Manifest
from vigil.questions import Question, load_question
from vigil.serving.server import RunningServer, run_server
from vigil.tiny import BASE_FOLDER
from vigil.verdict import Verdict
from waiting import HANG_S

pytestmark = pytest.mark.e2e


ODD = {
    "do_sample": True,
    "temperature": 1.5,
    "top_k": 3,
    "min_p": 0.2,
    "repetition_penalty": 5.0,
    "max_new_tokens": 2,
    "eos_token_id": [940, 941],
}


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, task: Question, sampling: FrameSampling, tiny_adapter: Path
) -> Iterator[RunningServer]:
    """The tiny base as a model that would answer oddly, with an adapter, for clients old and new, and more at run time.

    It may fetch from `localhost`.
    """
    folder: Path = tmp_path_factory.mktemp("opened")
    config = folder / "opened.yaml"
    config.write_text("media_domains: [localhost]\nkv_cache_tokens: 8192\nenforce_eager: true\n")
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "1")
            serving = run_server(
                altered_base(folder / "base", generation=ODD),
                name="tiny",
                task=task,
                sampling=sampling,
                adapters=[f"fight={tiny_adapter}"],
                alias=True,
                config=config,
                log=folder / "vllm.log",
                key_file=folder / "key",
                extra=("--max-loras", "2"),
            )
            ready = stack.enter_context(serving)
        yield ready


def _status(server: RunningServer, url: str) -> int:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "?"}]
    body = {"model": server.model, "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, timeout=HANG_S).status_code


def test_a_named_domain_is_fetched_from_and_no_other(opened: RunningServer) -> None:
    with media_trap() as named, media_trap() as other:
        assert _status(opened, f"http://localhost:{named.port}/x.jpg") == 200
        assert named.asked == ["/x.jpg"]
        for url in (
            f"http://127.0.0.1:{other.port}/x.jpg",
            f"http://localhost@127.0.0.1:{other.port}/x.jpg",
            f"http://localhost:pass@127.0.0.1:{other.port}/x.jpg",
            f"http://127.0.0.1:{other.port}#@localhost/x.jpg",
            "file://localhost/etc/passwd",
        ):
            assert (url, _status(opened, url)) == (url, 400)
        assert other.asked == []


def test_a_redirect_out_of_the_domain_is_not_followed(opened: RunningServer) -> None:
    with media_trap() as named, media_trap() as other:
        assert _status(opened, f"http://localhost:{named.port}/to?http://127.0.0.1:{other.port}/x.jpg") == 400
        assert len(named.asked) == 1 and other.asked == []


def _client(server: RunningServer) -> httpx.Client:
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.Client(base_url=server.root, headers=headers, timeout=HANG_S, trust_env=False)


def _contracts(server: RunningServer) -> dict[str, Contract]:
    with _client(server) as client:
        return read_declared_contracts(client.get("/vigil.json").raise_for_status().content)


def test_an_older_client_finds_the_contracts_in_the_list(
    opened: RunningServer, task: Question, sampling: FrameSampling
) -> None:
    contract = Contract.of(task, sampling)
    with _client(opened) as client:
        names = {card["id"] for card in client.get("/v1/models").json()["data"]}
    assert names >= {"tiny", "fight", contract.alias, contract.alias_for("fight")}
    assert _contracts(opened) == {"tiny": contract, "fight": contract}


def test_an_adapter_that_is_loaded_while_it_serves_tells_its_own_contract(
    opened: RunningServer, tiny_adapter: Path, tmp_path: Path, sampling: FrameSampling
) -> None:
    later = shutil.copytree(tiny_adapter, tmp_path / "fall")
    held = Contract.of(load_question("fall"), replace(sampling, fps=9.0))
    Manifest(contract=held, base_model="tiny", template="qwen3_vl_nothink").write(later)
    body = {"lora_name": "fall@2", "lora_path": str(later)}
    with _client(opened) as client:
        client.post("/v1/load_lora_adapter", json=body).raise_for_status()
        told = _contracts(opened)["fall@2"]
        client.post("/v1/unload_lora_adapter", json=body).raise_for_status()
    assert told == Contract.of(load_question("fall"), sampling)  # as this server reads pictures, not as it was trained
    assert "fall@2" not in _contracts(opened)


def test_a_models_own_ways_of_answering_change_no_verdict_and_no_description(
    opened: RunningServer, server: RunningServer, task: Question, sampling: FrameSampling
) -> None:
    plain, odd = (asyncio.run(_judged(one, task, sampling)) for one in (server, opened))
    assert [verdict.p_raw for verdict in odd[0]] == pytest.approx([verdict.p_raw for verdict in plain[0]], abs=1e-5)
    assert [verdict.text for verdict in odd[1]] == [verdict.text for verdict in plain[1]]
    assert all(len(verdict.text or "") > 10 for verdict in odd[1])
    # Nor what a program gets that says nothing of sampling: so many words, and no more than it asks for.
    assert _spelt(opened) == _spelt(server) and len(_spelt(opened)) > 10


async def _judged(one: RunningServer, task: Question, sampling: FrameSampling) -> tuple[list[Verdict], list[Verdict]]:
    """Verdicts of one token, and descriptions, of three windows."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 255, (3, 6, 96, 128, 3), np.uint8)
    windows = [[encode_jpeg(image, quality=90) for image in window] for window in images]
    async with await Judge.connect(one.endpoint("tiny"), task, sampling, min_label_probability=0.0) as judge:
        verdicts = [await judge.verdict(window) for window in windows]
        described = [await judge.describe(window, describe_normal=True, max_tokens=40) for window in windows]
    return verdicts, described


@pytest.mark.long
def test_every_web_process_of_several_is_guarded_and_serves_the_same(
    tmp_path: Path, task: Question, sampling: FrameSampling, tiny_adapter: Path
) -> None:
    with run_server(
        BASE_FOLDER,
        name="tiny",
        task=task,
        sampling=sampling,
        adapters=[f"fight={tiny_adapter}"],
        log=tmp_path / "vllm.log",
        key_file=tmp_path / "key",
        extra=("--api-server-count", "2"),
        timeout_s=2 * HANG_S,
    ) as both:
        # A connection each, which the two processes share out among them.
        refused = {httpx.get(f"{both.root}/v1/models", timeout=HANG_S).status_code for _ in range(16)}
        told = [_contracts(both) for _ in range(16)]
        read = {_status(both, "file:///etc/passwd") for _ in range(16)}
        spelt = {(name, _spelt(both, name)) for name in ("tiny", "fight") for _ in range(8)}
    assert (refused, read) == ({401}, {400})
    assert told == [dict.fromkeys(("tiny", "fight"), Contract.of(task, sampling))] * 16
    assert len(spelt) == 2 and len({words for _, words in spelt}) == 2


def _spelt(one: RunningServer, model: str = "tiny") -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "?"}], "max_tokens": 30, "temperature": 0}
    body |= {"ignore_eos": True}  # the tiny base has little to say to a bare question
    with _client(one) as client:
        answer = client.post("/v1/chat/completions", json=body).raise_for_status().json()
    spelt: str = answer["choices"][0]["message"]["content"]
    return spelt
