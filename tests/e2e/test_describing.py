"""On the real vLLM: a LoRA of verdicts alone judges, its base describes; and imports are served as they are trained."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from vigil.cli.main import app
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Endpoint, Judge
from vigil.judge.model_client import chat_messages
from vigil.manifest import read_manifest
from vigil.questions import Question
from vigil.serving.server import RunningServer, run_server
from vigil.tiny import BASE_FOLDER
from vigil.verdict import Verdict
from waiting import HANG_S
from watching import film

pytestmark = [pytest.mark.e2e, pytest.mark.long]

BASE, LORA = "tiny", "fight"


@pytest.fixture(scope="module")
def both(tiny_adapter: Path, task: Question, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The tiny base and, beside it, an adapter whose manifest says that it was trained on verdicts alone."""
    folder = tmp_path_factory.mktemp("both")
    adapter = shutil.copytree(tiny_adapter, folder / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    # Its weights are random: four times as much of them is sure to say something else than the base.
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 4 * config["lora_alpha"]}))
    told = read_manifest(adapter)
    replace(told, contract=replace(told.contract, answers="verdict")).write(adapter)
    log, key_file = folder / "vllm.log", folder / "key"
    with run_server(BASE_FOLDER, name=BASE, adapters=[f"{LORA}={adapter}"], log=log, key_file=key_file) as ready:
        yield ready


def _jpegs() -> list[bytes]:
    random = np.random.default_rng(7)
    walls = [np.kron(random.integers(0, 255, (6, 8, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))] * 6
    return [encode_jpeg(wall, quality=90) for wall in walls]


def _judged(server: RunningServer, task: Question, sampling: FrameSampling, *, model: str) -> tuple[Judge, Verdict]:
    async def run() -> tuple[Judge, Verdict]:
        endpoint = Endpoint(url=server.url, model=model, api_key=server.key)
        async with await Judge.connect(endpoint, task, sampling, deadline_s=HANG_S, min_label_probability=0.0) as judge:
            return judge, await judge.describe(_jpegs(), max_tokens=24, describe_normal=True)

    return asyncio.run(run())


def _said(server: RunningServer, question: str, *, model: str) -> str:
    asked = chat_messages(_jpegs(), question, media="video", fps=2.0)
    body: dict[str, Any] = {"model": model, "messages": asked, "max_tokens": 24, "temperature": 0.0}
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.url}/chat/completions", json=body, headers=headers, timeout=HANG_S, trust_env=False)
    return str(answer.json()["choices"][0]["message"]["content"]).strip()


def test_the_lora_judges_and_the_base_describes(both: RunningServer, task: Question, sampling: FrameSampling) -> None:
    asks = replace(task, describe="描述画面。")
    judge, verdict = _judged(both, asks, sampling, model=LORA)
    assert (judge.model, judge.describer, judge.contract_differences) == (LORA, BASE, ())
    assert verdict.text == _said(both, "描述画面。", model=BASE) != _said(both, "描述画面。", model=LORA)
    _, of_base = _judged(both, asks, sampling, model=BASE)
    assert (verdict.p_raw, verdict.p_outside) != (of_base.p_raw, of_base.p_outside)


def test_an_imported_dataset_is_sound_and_served_as_it_is_trained(
    both: RunningServer, task: Question, sampling: FrameSampling, tmp_path: Path
) -> None:
    rows = []
    for number in range(6):
        for label, folder, lit in (("alarm", "fight", [(0.0, 9.0)]), ("normal", "normal", [])):
            name = f"clips/{folder}/{number}.mp4"
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            film(tmp_path / name, seconds=2 + number, bright=lit, fps=6 + number)
            answer = f"{task.alarm_word if label == 'alarm' else task.normal_word}，第{number}段。"
            said = [{"from": "human", "value": f"<video>{task.text}"}, {"from": "gpt", "value": answer}]
            rows.append({"conversations": said, "videos": [name]})
    told = ["clip,label,source", *(f"{n}.mp4,{label},{label}{n}" for label in ("fight", "normal") for n in range(6))]
    (tmp_path / "sources.csv").write_text("\n".join(told))
    (tmp_path / "blog.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8-sig")
    data, key = tmp_path / "data", tmp_path / "key"
    key.write_text(both.key)
    _run("dataset", "import", str(tmp_path / "blog.json"), "--out", str(data), "--max-pixels", str(sampling.max_pixels))
    assert "0 errors" in _run("dataset", "check", str(data))
    words = ("parity", "--data", str(data), "--url", both.url, "--key-file", str(key), "--model", BASE, "--all")
    assert ", 0 differences" in _run(*words)


def _run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.output
