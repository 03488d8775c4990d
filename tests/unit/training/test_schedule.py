"""What a training says of itself before it starts: its batch, its steps, and what a person should look at."""

import stat
from pathlib import Path

import pytest
import yaml

from made_dataset import make_dataset
from vigil.cli.main import main
from vigil.dataset.splits import VAL_SHARE
from vigil.errors import ConfigError, UsageError
from vigil.training import plan_training
from vigil.training.config import is_distributed, is_ray, load_training_config, tower_warnings
from vigil.training.schedule import TrainingSchedule, training_schedule

CONFIGS = Path(__file__).resolve().parents[3] / "configs" / "train"
ONE_CARD = {"dataset": "anomaly-train", "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}


def told(settings: dict[str, object], *, examples: int = 200, gpus: int = 1, **environ: str) -> TrainingSchedule:
    return training_schedule(ONE_CARD | settings, examples=examples, gpus=gpus, environ=environ)


@pytest.mark.parametrize(
    ("settings", "examples", "gpus", "expected"),
    [
        ({"num_train_epochs": 3}, 200, 1, (8, 25, 75)),
        ({"num_train_epochs": 3}, 201, 1, (8, 26, 78)),
        ({"num_train_epochs": 0.5}, 200, 1, (8, 25, 13)),
        ({"max_steps": 60, "num_train_epochs": 3}, 200, 1, (8, 25, 60)),
        ({"num_train_epochs": 2}, 200, 2, (16, 13, 26)),
        ({"num_train_epochs": 2, "ray_num_workers": 4}, 200, 1, (32, 7, 14)),
        ({"num_train_epochs": 2, "max_samples": 100}, 200, 1, (8, 13, 26)),
        ({"num_train_epochs": 2, "val_size": 0.1}, 200, 1, (8, 23, 46)),
        ({"num_train_epochs": 2, "val_size": 40}, 200, 1, (8, 20, 40)),
        ({}, 1, 1, (8, 1, 3)),
    ],
)
def test_steps_are_counted_as_the_trainer_counts_them(
    settings: dict[str, object], examples: int, gpus: int, expected: tuple[int, int, int]
) -> None:
    schedule = told(settings, examples=examples, gpus=gpus)
    assert (schedule.effective_batch, schedule.steps_per_epoch, schedule.steps) == expected


def test_what_llamafactory_takes_by_default_counts() -> None:
    schedule = training_schedule({"dataset": "a"}, examples=80, gpus=1, environ={})
    assert (schedule.effective_batch, schedule.steps, schedule.epochs) == (8, 30, 3.0)


@pytest.mark.parametrize(
    ("settings", "environ", "cards"),
    [
        ({}, {"NPROC_PER_NODE": "4"}, 1),
        ({"deepspeed": "z2.json"}, {"NPROC_PER_NODE": "4"}, 4),
        ({"deepspeed": "z2.json"}, {"NPROC_PER_NODE": "4", "NNODES": "2"}, 8),
        ({}, {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}, 2),
    ],
)
def test_cards_are_what_torchrun_will_start(settings: dict[str, object], environ: dict[str, str], cards: int) -> None:
    assert told(settings, **environ).cards == cards


def test_a_count_of_processes_that_is_no_number_is_told() -> None:
    with pytest.raises(UsageError, match="NNODES must be a whole number, not 'two'"):
        told({"deepspeed": "z2.json"}, NNODES="two")


def test_few_steps_are_warned_of_with_the_epochs_that_make_enough() -> None:
    (warning,) = told({"num_train_epochs": 3}, examples=40).warnings()
    assert "15 steps are few" in warning and "num_train_epochs=8" in warning
    assert "raise max_steps" in next(told({"max_steps": 5}).warnings())
    assert not list(told({"num_train_epochs": 2}).warnings())


def test_several_cards_that_multiply_a_config_for_one_are_warned_of() -> None:
    (warning,) = told({"num_train_epochs": 9}, gpus=2).warnings()
    assert "effective batch 16, 2 times" in warning and "gradient_accumulation_steps to 1" in warning
    (warning,) = told({"num_train_epochs": 9, "gradient_accumulation_steps": 1}, gpus=2).warnings()
    assert "per_device_train_batch_size to 2" in warning
    for several in ({"deepspeed": "z2.json"}, {"ray_num_workers": 2}):
        assert not list(told({"num_train_epochs": 9} | several, gpus=2).warnings())


@pytest.mark.parametrize("config", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_two_hundred_clips_are_enough_for_every_shipped_config_as_it_is(config: str) -> None:
    settings = load_training_config(config)
    cards = 2 if is_distributed(settings) or is_ray(settings) else 1
    # A window a clip, the test split and val held out.
    schedule = training_schedule(settings, examples=round(200 * 0.7 * (1 - VAL_SHARE)), gpus=cards, environ={})
    assert not list(schedule.warnings()), schedule


@pytest.mark.parametrize(
    ("settings", "gpus", "environ", "is_warned"),
    [
        ({"quantization_bit": 4}, 1, {}, False),
        ({"quantization_bit": 4}, 2, {}, True),
        ({"quantization_bit": 4, "deepspeed": "z2.json"}, 1, {}, True),
        ({"quantization_bit": 4, "ray_num_workers": 1}, 1, {}, True),
        ({"quantization_bit": 4}, 1, {"FORCE_TORCHRUN": "1"}, True),
        ({}, 2, {}, False),
    ],
)
def test_where_others_start_the_trainers_a_quantised_tower_is_warned_of(
    settings: dict[str, object], gpus: int, environ: dict[str, str], is_warned: bool
) -> None:
    warned = list(tower_warnings(ONE_CARD | settings, gpus=gpus, environ=environ))
    assert bool(warned) == is_warned and all("CUDA_VISIBLE_DEVICES=0" in warning for warning in warned)


@pytest.mark.parametrize("word", ["per_device_train_batch_size=0", "gradient_accumulation_steps=1.5", "max_steps=many"])
def test_a_batch_that_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=word.partition("=")[0]):
        load_training_config("tiny_lora", [word])


def test_a_dry_run_tells_the_batch_and_the_steps_and_stays_yaml(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_dataset(tmp_path / "data", examples=32)
    assert main(["train", "tiny_lora", f"dataset_dir={data}", "num_train_epochs=6", "--dry-run"]) == 0
    shown = capsys.readouterr()
    first = shown.out.splitlines()[0]
    assert "effective batch 16 (1 card x batch 16 x accumulation 1)" in first
    assert "2 steps an epoch, 12 steps in 6 epochs" in first
    assert yaml.safe_load(shown.out)["num_train_epochs"] == 6
    assert "12 steps are few" in shown.err


def test_two_cards_that_nvidia_smi_finds_are_two_in_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A10 (UUID: GPU-0)'\necho 'GPU 1: NVIDIA A10 (UUID: GPU-1)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    data = make_dataset(tmp_path / "data", examples=32)
    plan = plan_training("tiny_lora", [f"dataset_dir={data}"])
    assert (plan.schedule.cards, plan.schedule.effective_batch) == (2, 32)
