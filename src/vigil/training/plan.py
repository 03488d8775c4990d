"""The plan of a training: every check that can be made before it starts, and the settings it will get."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import UsageError
from vigil.gpus import gpu_count
from vigil.models import ModelFamily, family_in, family_named
from vigil.training.base import check_adapter, check_base
from vigil.training.dataset import TrainingSet, read_training_set
from vigil.training.hardware import check_hardware, tower_warnings
from vigil.training.schedule import Schedule, schedule_of
from vigil.training.settings import (
    Settings,
    absolute,
    complete,
    dataset_names,
    evaluated_names,
    is_distributed,
    is_ray,
    load_settings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A training that has passed every check: `settings` are what LLaMA-Factory gets, paths made absolute.

    `warnings` are what a person should look at before time is spent, each in one line with what to do.
    """

    config: str
    settings: Settings
    base_model: str
    dataset: TrainingSet
    gpus: int
    schedule: Schedule
    warnings: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        """The folder that the adapter goes to."""
        return Path(self.settings["output_dir"])


def check_family(base: Path, dataset: TrainingSet) -> None:
    """Raises UsageError where the frames of a dataset were cut for models of another family than the base's."""
    held, wanted = family_named(dataset.manifest.family), family_in(base)
    if held is not wanted:
        raise UsageError(
            f"{dataset.folder} was built for {held.title} (frames in multiples of {held.pixel_multiple} px) and {base} "
            f"is of {wanted.title} ({wanted.pixel_multiple} px); build it with: vigil dataset build CLIPS --out FOLDER "
            f"--family {wanted.name}"
        )


def check_processes(settings: Settings, family: ModelFamily, *, gpus: int) -> None:
    """Raises UsageError where LLaMA-Factory would start trainers of its own, which would number positions wrongly."""
    if family.counts_seconds and (gpus > 1 or is_distributed(settings) or is_ray(settings)):
        raise UsageError(
            f"{family.title} is trained in one process only: the pinned transformers counts the seconds of its videos "
            "wrongly, and Vigil mends that in its own process, not in those of torchrun or Ray; set "
            "CUDA_VISIBLE_DEVICES=0, and leave deepspeed and ray_num_workers out"
        )


def plan_training(config: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Everything about a training that can be known before it starts.

    Raises ConfigError, DatasetError, UsageError or EnvironmentMissing, each saying what to do.
    """
    settings = load_settings(config, overrides)
    gpus = gpu_count()
    check_hardware(settings, gpus=gpus)
    base = Path(settings["model_name_or_path"])
    check_base(base)
    if settings.get("adapter_name_or_path"):
        check_adapter(Path(settings["adapter_name_or_path"]), base)
    folder = Path(settings["dataset_dir"])
    dataset = read_training_set(folder, dataset_names(settings), evaluated=evaluated_names(settings))
    check_family(base, dataset)
    full = complete(settings, dataset)
    check_processes(full, family_in(base), gpus=gpus)
    schedule = schedule_of(full, examples=dataset.examples, gpus=gpus, environ=os.environ)
    return Plan(
        config=str(config),
        settings=absolute(full),
        base_model=str(settings["model_name_or_path"]),
        dataset=dataset,
        gpus=gpus,
        schedule=schedule,
        warnings=(*schedule.warnings(), *tower_warnings(full, gpus=gpus, environ=os.environ)),
    )
