"""Real adapters of every kind, merged by the real LLaMA-Factory: proven right, and served by the real vLLM as they are.

What is held against each other: base and adapter as peft runs them unmerged, the merged model as transformers runs it,
and the merged model behind vLLM.
"""

import asyncio
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vigil.environments import CHECKOUT, environment
from vigil.errors import EnvironmentMissing, JobError, UsageError
from vigil.frames import FrameSampling, encode_jpeg
from vigil.judge import Judge
from vigil.manifest import Contract, Manifest
from vigil.models.checkpoint import read_lora_adapter as read_served
from vigil.models.lora_adapter import read_adapter_weights
from vigil.models.merge_check import compare_merge, untie
from vigil.questions import Question
from vigil.serving.server import run_server
from vigil.tiny import BASE_FOLDER
from vigil.training.export import export_model, plan_export

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SCRIPT = CHECKOUT / "tests" / "peft_adapters.py"
LANGUAGE = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
TOWER = r".*visual.*\.(qkv|proj|linear_fc1|linear_fc2)"
BOTH = r".*(visual\.blocks.*\.(qkv|proj|linear_fc1)|visual\.merger\.linear_fc1|language_model.*_proj)"
ADAPTERS: dict[str, dict[str, Any]] = {
    "plain": {"r": 8, "lora_alpha": 16, "target_modules": LANGUAGE},
    "patterned": {
        "r": 8,
        "lora_alpha": 8,
        "target_modules": LANGUAGE,
        "use_rslora": True,
        "fan_in_fan_out": True,
        "rank_pattern": {"layers.0.self_attn.q_proj": 128, "down_proj": 4},
        "alpha_pattern": {"v_proj": 3},
    },
    "tower": {"r": 8, "lora_alpha": 16, "target_modules": TOWER},
    "dora": {"r": 8, "lora_alpha": 16, "target_modules": LANGUAGE, "use_dora": True},
    "module": {"r": 8, "target_modules": LANGUAGE, "modules_to_save": ["merger"]},
    "table": {"r": 8, "target_modules": LANGUAGE, "modules_to_save": ["embed_tokens"]},
    "one_table": {
        "r": 8,
        "target_modules": LANGUAGE,
        "modules_to_save": ["embed_tokens"],
        "ensure_weight_tying": True,
    },
    "biased": {"r": 8, "target_modules": r".*visual.*\.qkv", "lora_bias": True},
    "everything": {
        "r": 128,
        "lora_alpha": 64,
        "target_modules": BOTH,
        "use_dora": True,
        "modules_to_save": ["lm_head"],
    },
}
SERVED_AS_THEY_ARE = ("plain", "patterned")
MOVE = 0.1
"""How far, in log-odds, every adapter moves the verdict of a window at least; found: 0.12 to 3.6."""

ROUNDING = 0.02
"""How far rounding to bfloat16 moves it at most; found: 0.001 to 0.007. vLLM's arithmetic comes on top."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the script made, and the windows that it asked about."""

    folder: Path
    windows: list[list[bytes]]
    told: dict[str, Any]

    def adapter(self, name: str) -> Path:
        return self.folder / "adapters" / name

    def merged(self, name: str) -> Path:
        return self.folder / "merged" / name


def _window(seed: int) -> list[bytes]:
    """A bright square on noise, moving its own way."""
    numbers = np.random.default_rng(seed)
    frames = numbers.integers(30, 120, (6, 96, 128, 3), dtype=np.uint8)
    step, top = int(numbers.integers(4, 18)), int(numbers.integers(0, 50))
    for index in range(6):
        frames[index, top : top + 40, step * index : step * index + 30] = numbers.integers(150, 255)
    return [encode_jpeg(frame, quality=90) for frame in frames]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, task: Question) -> Made:
    folder = tmp_path_factory.mktemp("merge")
    try:
        trainer = environment("train")
    except EnvironmentMissing as missing:
        pytest.fail(str(missing))
    windows = [_window(seed) for seed in range(3)]
    files = [_write(folder / f"window{number}", jpegs) for number, jpegs in enumerate(windows)]
    asked = {"base": str(BASE_FOLDER), "out": str(folder), "adapters": ADAPTERS, "windows": files}
    asked |= {"question": task.text, "words": [task.alarm_word, task.normal_word]}
    (folder / "asked.json").write_text(json.dumps(asked))
    command = [str(trainer.python), str(SCRIPT), str(folder / "asked.json")]
    variables = trainer.variables() | {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return Made(folder, windows, json.loads((folder / "told.json").read_text()))


def _apart(left: list[float], right: list[float]) -> float:
    """The largest difference of two lists of probabilities, in log-odds."""
    odds = [np.log(np.array(p) / (1 - np.array(p))) for p in (left, right)]
    return float(np.abs(odds[0] - odds[1]).max())


def _write(folder: Path, jpegs: list[bytes]) -> list[str]:
    folder.mkdir()
    for index, jpeg in enumerate(jpegs):
        (folder / f"{index}.jpg").write_bytes(jpeg)
    return [str(folder / f"{index}.jpg") for index in range(len(jpegs))]


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_merge_of_every_kind_of_adapter_is_proven_right(made: Made, name: str) -> None:
    untie(made.merged(name))
    report = compare_merge(BASE_FOLDER, read_adapter_weights(made.adapter(name)), made.merged(name))
    assert report.adapted > 0
    assert report.moved > 0.001
    assert report.largest_ulp <= 1
    assert report.either_way < report.values / 10_000


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_merged_model_says_what_base_and_adapter_say(made: Made, name: str) -> None:
    adapted = made.told["adapted"][name]
    assert _apart(adapted, made.told["base"]) > MOVE
    assert _apart(adapted, made.told["merged"][name]) < ROUNDING


@pytest.mark.parametrize(("name", "other"), [("tower", "plain"), ("dora", "plain"), ("table", "module")])
def test_a_merge_of_another_adapter_is_named(made: Made, name: str, other: str) -> None:
    with pytest.raises(JobError, match=r"not base plus adapter: .*\.weight "):
        compare_merge(BASE_FOLDER, read_adapter_weights(made.adapter(name)), made.merged(other))


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_vllm_would_refuse_or_leave_out_is_told_before_it_is_started(made: Made, name: str) -> None:
    if name in SERVED_AS_THEY_ARE:
        assert read_served(str(made.adapter(name)), BASE_FOLDER).rank == (128 if name == "patterned" else 8)
        return
    with pytest.raises(UsageError, match=r"vLLM does not serve .* as it is: .*Merge it with \./export\.sh"):
        read_served(str(made.adapter(name)), BASE_FOLDER)


def test_a_merged_model_is_served_with_the_probabilities_of_base_and_adapter(
    made: Made, task: Question, sampling: FrameSampling, tmp_path: Path
) -> None:
    """A tower, DoRA, a head of its own and rank 128 in one adapter, none of which vLLM serves unmerged."""
    adapter = shutil.copytree(made.adapter("everything"), tmp_path / "everything")
    contract = Contract.of(task, sampling)
    Manifest(contract=contract, base_model=str(BASE_FOLDER), template="qwen3_vl_nothink").write(adapter)
    plan = plan_export(adapter, out=tmp_path / "model", base=BASE_FOLDER)
    assert len(plan.unservable) == 3
    checked = export_model(plan)
    assert checked is not None
    assert (checked.weights.largest_ulp <= 1, checked.smoke.outcome) == (True, "passed")
    log, key_file = tmp_path / "vllm.log", tmp_path / "key"
    with run_server(plan.out, log=log, key_file=key_file, extra=("--dtype", "float32")) as server:
        served = asyncio.run(_alarms(server.endpoint(), task, sampling, made.windows))
    assert _apart(served, made.told["adapted"]["everything"]) < 2 * ROUNDING
    assert _apart(served, made.told["base"]) > MOVE


async def _alarms(endpoint: Any, task: Question, sampling: FrameSampling, windows: list[list[bytes]]) -> list[float]:
    async with await Judge.connect(endpoint, task, sampling, min_label_probability=0.0) as judge:
        verdicts = [await judge.verdict(jpegs, start_s=0.0, end_s=3.0) for jpegs in windows]
    assert all(verdict.p_alarm is not None for verdict in verdicts), verdicts
    return [float(verdict.p_alarm or 0.0) for verdict in verdicts]
