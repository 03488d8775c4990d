"""The settings of a training run: a LLaMA-Factory YAML file, `key=value` overrides, and the dataset's contract.

What the contract and its model family determine (frame rate, frame sizes, template) is filled in if the YAML omits it,
and a contradiction is refused, because LLaMA-Factory would silently train something else. The demands on the machine
(GPUs, loggers, Ray) are checked here too, before the model is loaded.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from vigil.config import as_number, find_config, parse_overrides, parse_value, read_yaml, unknown_key
from vigil.environments import CHECKOUT, Environment
from vigil.errors import ConfigError, EnvironmentMissing, UsageError
from vigil.models import ModelFamily, family_named
from vigil.training.data import TrainingData

TrainingConfig: TypeAlias = dict[str, Any]

CUTOFF_STEP = 256
REQUIRED = ("model_name_or_path", "dataset", "output_dir")
PATHS = ("model_name_or_path", "adapter_name_or_path", "dataset_dir", "media_dir", "output_dir", "deepspeed")
LISTS = ("dataset", "eval_dataset")
TEXTS = frozenset({*PATHS, *LISTS, "template", "run_name", "resume_from_checkpoint"})
NUMBERS = frozenset(
    {"video_fps", "video_maxlen", "video_max_pixels", "video_min_pixels", "cutoff_len", "ray_num_workers"}
)
COUNTS = ("per_device_train_batch_size", "gradient_accumulation_steps")
AMOUNTS = frozenset({*COUNTS, "num_train_epochs", "max_steps", "max_samples", "val_size"})
STRATEGIES = frozenset({"eval_strategy", "save_strategy", "logging_strategy"})
SHIPPED = ("model_name_or_path", "deepspeed")

# Common names of settings and their LLaMA-Factory keys, for the error message.
SPOKEN = {
    "lr": "learning_rate",
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "rank": "lora_rank",
    "model": "model_name_or_path",
    "output": "output_dir",
    "data": "dataset_dir",
}


@cache
def known_keys() -> frozenset[str]:
    """Returns every argument of the pinned LLaMA-Factory (an e2e test compares the list with the real one)."""
    return frozenset(resources.files("vigil.training").joinpath("llamafactory_keys.txt").read_text().split())


def load_training_config(config: str | Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Reads a config by name or path and applies `key=value` overrides.

    Raises ConfigError listing every unknown, missing or invalid key.
    """
    path = find_config("train", config)
    settings = {key: _plain(key, value) for key, value in read_yaml(path).items()}
    settings |= parse_overrides(overrides, texts=TEXTS, lists=LISTS)
    # YAML parses a bare `no` as false.
    settings |= {key: "no" for key in STRATEGIES if settings.get(key) is False}
    problems = [_unknown(key) for key in settings if key not in known_keys()]
    problems += [problem for key, value in settings.items() if (problem := _wrong_kind(key, value))]
    problems += [f"{key} is missing" for key in REQUIRED if not settings.get(key)]
    if settings.get("tokenized_path"):
        problems.append("tokenized_path makes LLaMA-Factory ignore the other data settings in silence; leave it out")
    if problems:
        raise ConfigError(str(path), problems)
    return {"dataset_dir": "data"} | settings | {key: _shipped(settings[key]) for key in SHIPPED if key in settings}


def _shipped(value: Any) -> Any:
    """Resolves a path relative to the checkout if it does not exist relative to the current folder."""
    if not isinstance(value, str) or Path(value).exists() or not (CHECKOUT / value).exists():
        return value
    return str(CHECKOUT / value)


def _unknown(key: str) -> str:
    if key in SPOKEN:
        return f"unknown key {key!r} (LLaMA-Factory calls it {SPOKEN[key]!r})"
    return unknown_key(key, known_keys())


def _plain(key: str, value: Any) -> Any:
    """Converts a YAML value: paths and names become text (even `2026-11-25`), and `1e-4` a number."""
    if key in TEXTS:
        return str(value) if isinstance(value, int | float | date) else value
    return as_number(value) if isinstance(value, str) else value


def _wrong_kind(key: str, value: Any) -> str:
    if key in PATHS and key != "deepspeed" and not isinstance(value, str | None):
        return f"{key} must be a path, not {value!r}"
    if key in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"{key} must be a number, not {value!r}"
    if key in AMOUNTS and value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        return f"{key} must be a number, not {value!r}"
    if key in COUNTS and value is not None and (value < 1 or value != int(value)):
        return f"{key} must be a whole number of at least 1, not {value!r}"
    return _commented(key, value)


def _commented(key: str, value: Any) -> str:
    """Reports a number or flag followed by a comment, which LLaMA-Factory would read as a non-empty (true) string."""
    given, space, _ = str(value).partition(" #")
    if key in TEXTS or not space or not isinstance(value, str) or isinstance(parse_value(given), str):
        return ""
    return f"{key} must be {given.strip()!r} alone, not {value!r}; a word of the command line has no comments"


def dataset_names(settings: TrainingConfig) -> list[str]:
    """Returns the entries of dataset_info.json to train on."""
    return _listed(settings["dataset"])


def evaluated_names(settings: TrainingConfig) -> list[str] | None:
    """Returns the entries to evaluate on; None if the settings leave that to the dataset."""
    if settings.get("eval_dataset"):
        return _listed(settings["eval_dataset"])
    is_unwanted = settings.get("eval_strategy") == "no" or settings.get("val_size")
    return [] if is_unwanted else None


def _listed(names: Any) -> list[str]:
    listed = names if isinstance(names, list) else str(names).split(",")
    return [str(name).strip() for name in listed]


def complete_from_dataset(settings: TrainingConfig, dataset: TrainingData) -> TrainingConfig:
    """Returns the settings completed with everything that the dataset's contract determines.

    Raises ConfigError listing every setting that contradicts the dataset.
    """
    sampling, family = dataset.manifest.contract.sampling, family_named(dataset.manifest.family)
    areas = [width * height for width, height in dataset.sizes_wh]
    needed = {
        "template": family.training_template,
        **family.training_options,
        "video_fps": sampling.fps,
        "video_maxlen": sampling.frames,
        "video_max_pixels": max(max(areas), sampling.max_pixels),
        "video_min_pixels": min(256, *areas),
        "cutoff_len": math.ceil(dataset.longest_tokens / CUTOFF_STEP) * CUTOFF_STEP,
    }
    full = needed | {"media_dir": settings["dataset_dir"]} | evaluation(settings, dataset) | settings
    problems = [
        *_contradictions(full, needed, areas, family),
        *_too_short(full, dataset),
        *_not_evaluable(full, dataset),
    ]
    if problems:
        raise ConfigError(f"training on {dataset.folder}", problems)
    return full


def evaluation(settings: TrainingConfig, dataset: TrainingData) -> TrainingConfig:
    """Returns the settings to evaluate on the held-out split at every save, and to keep the best checkpoint."""
    if not dataset.evaluated or settings.get("eval_strategy") == "no":
        return {}
    saves = settings.get("save_strategy", settings.get("eval_strategy", "epoch"))
    evaluates = settings.get("eval_strategy", "epoch" if saves == "no" else saves)
    added: TrainingConfig = {
        "eval_dataset": ",".join(dataset.evaluated),
        "eval_strategy": evaluates,
        "save_strategy": saves,
        "per_device_eval_batch_size": settings.get("per_device_train_batch_size", 8),
    }
    if evaluates == "steps" and settings.get("save_steps"):
        added["eval_steps"] = settings["save_steps"]
    if saves == evaluates:
        added |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    return added


def _not_evaluable(full: TrainingConfig, dataset: TrainingData) -> list[str]:
    """Checked here because LLaMA-Factory reports it for another key, and only after loading the model."""
    if dataset.evaluated or full.get("val_size"):
        return []
    keys = [key for key in ("eval_strategy", "load_best_model_at_end") if full.get(key) not in (None, False, "no")]
    return [
        f"{key} is {full[key]}, but this dataset has no val split; build it with --val-share 0.15, or leave it out"
        for key in keys
    ]


def _contradictions(
    full: TrainingConfig, needed: TrainingConfig, areas: Sequence[int], family: ModelFamily
) -> list[str]:
    exact = ("template", *family.training_options)
    checks = (
        *((key, full[key] == needed[key], "so that the answer begins with the verdict word") for key in exact),
        ("video_fps", full["video_fps"] == needed["video_fps"], "the frames were cut at that rate"),
        ("video_maxlen", full["video_maxlen"] >= needed["video_maxlen"], "or frames are left out"),
        ("video_max_pixels", full["video_max_pixels"] >= max(areas), "or frames are made smaller than in serving"),
        ("video_min_pixels", full["video_min_pixels"] <= min(areas), "or frames are made larger than in serving"),
    )
    return [
        f"{key} is {full[key]!r} but this dataset needs {needed[key]!r}, {why} (leave it out and it is set)"
        for key, fits, why in checks
        if not fits
    ]


def _too_short(full: TrainingConfig, dataset: TrainingData) -> list[str]:
    if full["cutoff_len"] >= dataset.longest_tokens:
        return []
    return [
        f"cutoff_len {full['cutoff_len']} may cut examples, which can take up to {dataset.longest_tokens} tokens "
        f"({dataset.visual_tokens} of them pictures); a larger one costs nothing: leave it out and it is set"
    ]


def with_absolute_paths(settings: TrainingConfig) -> TrainingConfig:
    """Returns the settings with absolute paths, because workers may start in other folders."""
    paths = {key: str(Path(settings[key]).absolute()) for key in PATHS if isinstance(settings.get(key), str)}
    return settings | paths


def is_distributed(settings: TrainingConfig) -> bool:
    """Returns whether torchrun must start the training, even on one GPU."""
    return bool(settings.get("deepspeed"))


def is_ray(settings: TrainingConfig) -> bool:
    """Returns whether Ray starts the workers."""
    return bool(settings.get("ray_num_workers"))


RAY_CPUS_PER_WORKER = 10
"""LLaMA-Factory requests ten CPUs per GPU from Ray, and waits forever if there are fewer."""

LOGGERS: Mapping[str, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "swanlab": "swanlab",
    "mlflow": "mlflow",
    "comet_ml": "comet-ml",
    "clearml": "clearml",
    "trackio": "trackio",
}
"""The package that each `report_to` value needs; LLaMA-Factory notices a missing one only after loading the model."""

LOCAL_RAY = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def process_count(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> int:
    """Returns how many trainer processes LLaMA-Factory starts, one per GPU, over all machines."""
    if is_ray(settings):
        return int(settings["ray_num_workers"])
    if is_one_process(settings, gpus=gpus, environ=environ):
        return 1
    return max(1, _number(environ, "NPROC_PER_NODE", gpus)) * max(1, _number(environ, "NNODES", 1))


def is_one_process(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> bool:
    """Returns whether training runs in Vigil's own child process, not in processes started by torchrun or Ray."""
    is_forced = environ.get("FORCE_TORCHRUN", "").lower() in {"1", "true"}
    return gpus <= 1 and not (is_distributed(settings) or is_ray(settings) or is_forced)


def tower_warnings(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> Iterator[str]:
    """Warns if a quantised model trains under torchrun or Ray, where Vigil cannot exclude the vision tower."""
    if settings.get("quantization_bit") and not is_one_process(settings, gpus=gpus, environ=environ):
        yield (
            f"torchrun and Ray quantise the vision tower to {settings['quantization_bit']} bits too, which serving has "
            "whole, so the adapter learns from other features than it will see: use one card (CUDA_VISIBLE_DEVICES=0, "
            "no deepspeed, no Ray), or weights of full precision"
        )


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    value = environ.get(name, str(default))
    if not value.isdigit():
        raise UsageError(f"the environment variable {name} must be a whole number, not {value!r}")
    return int(value)


def check_hardware(settings: TrainingConfig, *, gpus: int) -> None:
    """Raises EnvironmentMissing if the settings need a GPU and there is none."""
    if gpus:
        return
    small = "tiny_lora is the configuration for a machine without one"
    if settings.get("quantization_bit"):
        raise EnvironmentMissing(f"training on {settings['quantization_bit']}-bit weights needs a GPU; {small}")
    if settings.get("bf16") and not settings.get("use_cpu"):
        raise EnvironmentMissing(
            f"these settings (bf16: true) need a GPU and nvidia-smi finds none; {small} (or set use_cpu=true, "
            "which takes days for a model of 2B)"
        )


def check_loggers(settings: TrainingConfig, trainer: Environment) -> None:
    """Raises EnvironmentMissing if a package that `report_to` needs is not installed."""
    reports = settings.get("report_to") or ()
    requested = {reports} if isinstance(reports, str) else set(reports)
    requested |= {"swanlab"} if settings.get("use_swanlab") else set()
    needed = {LOGGERS[name] for name in requested if name in LOGGERS}
    missing = sorted(needed - trainer.versions(needed).keys())
    if missing:
        raise EnvironmentMissing(
            f"{' and '.join(missing)} is not installed in {trainer.folder}, so the curves cannot go there: "
            f".venv-uv/bin/uv pip install --python {trainer.python} {' '.join(missing)}, or report_to=none"
        )


def adapt_to_machine(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> TrainingConfig:
    """Returns the settings completed for this machine: a local Ray's CPUs, a checkpoint on SIGTERM."""
    added: dict[str, Any] = {}
    if is_ray(settings) and "RAY_ADDRESS" not in environ:
        cpus = RAY_CPUS_PER_WORKER * max(gpus, settings["ray_num_workers"])
        added["ray_init_kwargs"] = {"num_cpus": max(cpus, os.cpu_count() or 1)} | LOCAL_RAY
        # By default LLaMA-Factory asks Ray's dashboard for this address.
        added["master_addr"] = LOCAL_RAY["_node_ip_address"]
    # Only a trainer that is our own child process receives SIGTERM directly.
    if not is_ray(settings) and not is_distributed(settings) and gpus <= 1:
        added["enable_jit_checkpoint"] = True
    return added | settings


def launch_environment(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables that control LLaMA-Factory's workers; values in `environ` take precedence."""
    variables = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if not gpus:
        # Busy-waiting threads made steps 10 times slower on two cores with other load.
        variables["OMP_WAIT_POLICY"] = "PASSIVE"
    if is_distributed(settings):
        variables["FORCE_TORCHRUN"] = "1"
    if is_ray(settings):
        variables["USE_RAY"] = "1"
    return {name: environ.get(name, value) for name, value in variables.items()}
