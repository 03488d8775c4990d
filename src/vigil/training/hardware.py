"""What a training asks of the machine, held against what is there before minutes are spent on finding out."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from vigil.environments import Environment
from vigil.errors import EnvironmentMissing, UsageError
from vigil.training.settings import TrainingConfig, is_distributed, is_ray

RAY_CPUS_PER_WORKER = 10
"""LLaMA-Factory asks Ray for ten CPUs beside every GPU, and waits without end where there are fewer."""

LOGGERS: Mapping[str, str] = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "swanlab": "swanlab",
    "mlflow": "mlflow",
    "comet_ml": "comet-ml",
    "clearml": "clearml",
    "trackio": "trackio",
}
"""The packages that `report_to` needs; LLaMA-Factory misses them only after it has loaded the model."""

LOCAL_RAY = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}


def process_count(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> int:
    """How many trainers LLaMA-Factory starts, one a GPU, over all machines."""
    if is_ray(settings):
        return int(settings["ray_num_workers"])
    if is_one_process(settings, gpus=gpus, environ=environ):
        return 1
    return max(1, _number(environ, "NPROC_PER_NODE", gpus)) * max(1, _number(environ, "NNODES", 1))


def is_one_process(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> bool:
    """Whether the trainer is our own child, not one that LLaMA-Factory has torchrun or Ray start."""
    is_forced = environ.get("FORCE_TORCHRUN", "").lower() in {"1", "true"}
    return gpus <= 1 and not (is_distributed(settings) or is_ray(settings) or is_forced)


def tower_warnings(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with few bits where the trainers are not ours: nothing keeps the vision tower whole in them."""
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
    """Raises EnvironmentMissing when the settings need a GPU and there is none."""
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
    """Raises EnvironmentMissing when the curves are to go where no package brings them."""
    reports = settings.get("report_to") or ()
    asked = {reports} if isinstance(reports, str) else set(reports)
    asked |= {"swanlab"} if settings.get("use_swanlab") else set()
    needed = {LOGGERS[name] for name in asked if name in LOGGERS}
    missing = sorted(needed - trainer.versions(needed).keys())
    if missing:
        raise EnvironmentMissing(
            f"{' and '.join(missing)} is not installed in {trainer.folder}, so the curves cannot go there: "
            f".venv-uv/bin/uv pip install --python {trainer.python} {' '.join(missing)}, or report_to=none"
        )


def adapt_to_machine(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> TrainingConfig:
    """The settings with what depends on the machine: room on a local Ray, a checkpoint when stopped."""
    added: dict[str, Any] = {}
    if is_ray(settings) and "RAY_ADDRESS" not in environ:
        cpus = RAY_CPUS_PER_WORKER * max(gpus, settings["ray_num_workers"])
        added["ray_init_kwargs"] = {"num_cpus": max(cpus, os.cpu_count() or 1)} | LOCAL_RAY
        # Left to itself LLaMA-Factory asks Ray's dashboard for this address.
        added["master_addr"] = LOCAL_RAY["_node_ip_address"]
    # Only a trainer that is our own child gets our SIGTERM as it is.
    if not is_ray(settings) and not is_distributed(settings) and gpus <= 1:
        added["enable_jit_checkpoint"] = True
    return added | settings


def launch_environment(settings: TrainingConfig, *, gpus: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables by which LLaMA-Factory is told how to start its workers; what is set in `environ` stays."""
    variables = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if not gpus:
        # Threads that spin while they wait made steps 10 times slower on two cores with other work.
        variables["OMP_WAIT_POLICY"] = "PASSIVE"
    if is_distributed(settings):
        variables["FORCE_TORCHRUN"] = "1"
    if is_ray(settings):
        variables["USE_RAY"] = "1"
    return {name: environ.get(name, value) for name, value in variables.items()}
