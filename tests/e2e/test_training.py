"""Training and export through the real LLaMA-Factory, on the CPU, with the tiny base and a few moving squares.

What a machine without a GPU cannot show: that 4-bit weights load (bitsandbytes on a CPU is another code path), that
bf16 is supported by the card (`use_cpu` skips that check), and that the batches of the large configs fit their cards.
"""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from made_dataset import make_dataset
from vigil.environments import CHECKOUT, environment
from vigil.errors import EnvironmentMissing, JobError
from vigil.manifest import read_manifest
from vigil.models.base_model import describe_base
from vigil.models.lora_adapter import WEIGHTS_NAME, read_adapter_weights
from vigil.models.merge_check import compare_merge
from vigil.models.weight_files import tensors_in
from vigil.tiny import BASE_FOLDER
from vigil.training import TrainingResult, plan_training, train
from vigil.training.config import (
    adapt_to_machine,
    complete_from_dataset,
    known_keys,
    launch_environment,
    load_training_config,
)
from vigil.training.data import read_training_data
from vigil.training.export import export_model, plan_export
from vigil.training.llamafactory import LlamaFactoryProcess
from waiting import HANG_S, until

pytestmark = pytest.mark.e2e

WITHOUT_GPUS = Path(__file__).with_name("without_gpus")
CONFIGS = sorted((CHECKOUT / "configs" / "train").rglob("*.yaml"))
ON_TINY = [
    f"model_name_or_path={BASE_FOLDER}",
    "use_cpu=true",
    "bf16=false",
    "max_steps=3",
    "logging_steps=1",
    "dataloader_num_workers=0",
    "preprocessing_num_workers=1",
]


@pytest.fixture(scope="module", autouse=True)
def train_environment() -> None:
    """Fails, with the command that makes it, where the training environment is missing."""
    try:
        environment("train")
    except EnvironmentMissing as missing:
        pytest.fail(str(missing))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), examples=32)


def arguments(data: Path, output: Path, *more: str) -> list[str]:
    base = f"model_name_or_path={BASE_FOLDER}"
    return [base, f"dataset_dir={data}", f"output_dir={output}", "logging_steps=1", "num_train_epochs=6", *more]


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A training that Ctrl-C ended: what it left, and what it said."""

    output: Path
    code: int
    told: str
    steps: int
    is_finished: bool


@pytest.fixture(scope="module")
def interrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    """tiny_lora on 32 examples, six times over, ended after its first step."""
    output = tmp_path_factory.mktemp("saves") / "tiny"
    command = [sys.executable, "-m", "vigil", "train", "tiny_lora", *arguments(data, output)]
    training = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until((output / "trainer_log.jsonl").exists, every_s=0.1)
    training.send_signal(signal.SIGINT)
    told = training.communicate(timeout=HANG_S)[1]
    steps = json.loads((output / "trainer_log.jsonl").read_text().splitlines()[-1])["current_steps"]
    return Interrupted(output, training.returncode, told, steps, (output / "vigil.json").exists())


@pytest.fixture(scope="module")
def trained(interrupted: Interrupted, data: Path) -> TrainingResult:
    """The same training, asked for once more."""
    return train("tiny_lora", arguments(data, interrupted.output))


@pytest.fixture(scope="module")
def adapter(trained: TrainingResult, interrupted: Interrupted) -> Path:
    """The adapter that came of it."""
    return interrupted.output


@pytest.fixture(scope="module")
def parsed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What LLaMA-Factory understands of every config, as `vigil train` would hand it over."""
    folder = tmp_path_factory.mktemp("parsed")
    dataset = read_training_data(data, ["anomaly-train"])
    files = [folder / config.name for config in CONFIGS]
    for config, file in zip(CONFIGS, files, strict=True):
        overrides = ["use_cpu=true", f"dataset_dir={data}", f"output_dir={folder / config.stem}"]
        file.write_text(
            yaml.safe_dump(complete_from_dataset(load_training_config(config, overrides), dataset)), encoding="utf-8"
        )
    trainer = environment("train")
    script = Path(__file__).with_name("parse_configs.py")
    command = [str(trainer.python), str(script), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env=trainer.variables(), cwd=CHECKOUT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    answer["configs"] = {Path(path).stem: found for path, found in answer["configs"].items()}
    return dict(answer)


def test_there_are_nine_configs() -> None:
    assert len(CONFIGS) == 9


@pytest.mark.parametrize("name", [config.stem for config in CONFIGS])
def test_llamafactory_understands_the_config(parsed: dict[str, Any], name: str) -> None:
    found = parsed["configs"][name]
    assert "error" not in found, found["error"]
    assert found["template"] == "qwen3_vl_nothink"
    assert (found["video_fps"], found["video_maxlen"], found["video_max_pixels"]) == (2.0, 6, 12_288)
    assert found["freeze_vision_tower"] is True
    assert found["lora_rank"] == 16
    assert found["quantization_bit"] == (4 if name.endswith("qlora") else None)


def test_the_list_of_keys_is_that_of_the_installed_llamafactory(parsed: dict[str, Any]) -> None:
    assert set(parsed["keys"]) == known_keys()


def test_ctrl_c_leaves_a_checkpoint(interrupted: Interrupted) -> None:
    assert interrupted.code == 1
    assert "goes on from checkpoint-" in interrupted.told.replace("\n", " ")
    assert not interrupted.is_finished


def test_the_same_command_goes_on(interrupted: Interrupted, trained: TrainingResult) -> None:
    assert trained.figures["resumed"]
    assert interrupted.steps < trained.figures["steps"] == 12
    assert interrupted.steps == trained.figures["resumed_at_step"]
    samples = trained.figures["samples_per_second"] * trained.figures["train_seconds"]
    assert samples == pytest.approx(32 * 6 * (12 - interrupted.steps) / 12, rel=0.05)


def test_a_training_leaves_an_adapter_a_manifest_and_a_curve(adapter: Path, data: Path) -> None:
    manifest = read_manifest(adapter)
    assert manifest.contract == read_manifest(data).contract
    assert manifest.template == "qwen3_vl_nothink"
    assert manifest.examples == 32
    assert manifest.training["steps"] == 12
    assert manifest.training["final_loss"] > 0
    assert manifest.training["versions"]["llamafactory"]
    assert manifest.training["clips_used"]["train"]["digests"]
    assert manifest.base == describe_base(BASE_FOLDER)
    assert (adapter / "adapter_model.safetensors").stat().st_size > 0
    assert (adapter / "training_loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_training_is_not_done_again(adapter: Path, data: Path) -> None:
    before = left_in(adapter)
    assert train("tiny_lora", arguments(data, adapter)).already
    assert left_in(adapter) == before


def left_in(folder: Path) -> dict[Path, tuple[int, int]]:
    """Every file of a training, with its size and when it was written; its log is among them."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_trained_adapter_is_merged_and_proven(adapter: Path, tmp_path: Path) -> None:
    checked = export_model(plan_export(adapter, out=tmp_path / "model"))
    assert checked is not None
    assert checked.weights.adapted == sum("lora_A" in name for name in tensors_in([adapter / WEIGHTS_NAME]))
    assert checked.weights.largest_ulp <= 1
    assert checked.weights.moved > 0
    assert checked.smoke.outcome == "passed"
    manifest = read_manifest(tmp_path / "model")
    assert manifest.contract == read_manifest(adapter).contract
    assert manifest.base == describe_base(BASE_FOLDER)
    assert manifest.training["merged"]["checked"]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "bfloat16"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    assert plan_export(adapter, out=tmp_path / "model").checked


def test_a_merge_that_dropped_a_trained_adapter_is_found_out(adapter: Path) -> None:
    with pytest.raises(JobError, match=r"_proj\.weight differs in .*it holds 0\.00 times what the adapter adds"):
        compare_merge(BASE_FOLDER, read_adapter_weights(adapter), BASE_FOLDER)


def test_a_failing_training_tells_why_in_one_line(data: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"lora_target|Target modules|target_modules"):
        train("tiny_lora", arguments(data, tmp_path / "out", "lora_target=nosuch"))
    assert not (tmp_path / "out" / "vigil.json").exists()


@pytest.mark.long
def test_two_processes_train_together_under_deepspeed(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NPROC_PER_NODE", "2")
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr("vigil.environments.DROPPED", ())
    monkeypatch.setenv("PYTHONPATH", str(WITHOUT_GPUS))
    output = tmp_path / "multi"
    outcome = train("qwen3vl_2b_lora_multigpu", [*ON_TINY, f"dataset_dir={data}", f"output_dir={output}"])
    assert outcome.figures["steps"] == 3
    assert "world size: 2" in (output / "train.log").read_text(errors="replace")


@pytest.mark.long
def test_two_ray_workers_train_together(data: Path, tmp_path: Path) -> None:
    """With the settings of the plan, but started from here: a worker asks Ray for one CPU in place of ten."""
    local = "ray_init_kwargs={num_cpus: 2, include_dashboard: false, _node_ip_address: 127.0.0.1}"
    chosen = [*ON_TINY, local, f"dataset_dir={data}", f"output_dir={tmp_path / 'ray'}"]
    settings = adapt_to_machine(plan_training("qwen3vl_2b_lora_ray", chosen).settings, gpus=0, environ={})
    config = tmp_path / "train.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    shim = {"PYTHONPATH": str(WITHOUT_GPUS), "RAY_USAGE_STATS_ENABLED": "0"}
    job = LlamaFactoryProcess(
        environment=environment("train"),
        arguments=("train", str(config)),
        log=tmp_path / "train.log",
        variables=launch_environment(settings, gpus=0, environ={}) | shim,
    )
    job.run()
    assert (tmp_path / "ray" / "adapter_model.safetensors").exists()
    assert "world size: 2" in job.log.read_text(errors="replace")
