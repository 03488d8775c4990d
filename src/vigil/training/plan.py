"""The plan of a training: every check that can be made before it starts, and the settings it will get."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vigil.gpus import gpu_count
from vigil.training.base import check_adapter, check_checkpoint
from vigil.training.dataset import TrainingData, read_training_data
from vigil.training.hardware import check_hardware, tower_warnings
from vigil.training.schedule import TrainingSchedule, training_schedule
from vigil.training.settings import (
    TrainingConfig,
    complete_from_dataset,
    dataset_names,
    evaluated_names,
    load_training_config,
    with_absolute_paths,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A training that has passed every check: `settings` are what LLaMA-Factory gets, paths made absolute.

    `warnings` are what a person should look at before time is spent, each in one line with what to do.
    """

    config: str
    settings: TrainingConfig
    base_model: str
    dataset: TrainingData
    gpus: int
    schedule: TrainingSchedule
    warnings: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        """The folder that the adapter goes to."""
        return Path(self.settings["output_dir"])


def plan_training(config: str | Path, overrides: Sequence[str] = ()) -> TrainingPlan:
    """Everything about a training that can be known before it starts.

    Raises ConfigError, DatasetError, UsageError or EnvironmentMissing, each saying what to do.
    """
    settings = load_training_config(config, overrides)
    gpus = gpu_count()
    check_hardware(settings, gpus=gpus)
    base = Path(settings["model_name_or_path"])
    check_checkpoint(base)
    if settings.get("adapter_name_or_path"):
        check_adapter(Path(settings["adapter_name_or_path"]), base)
    folder = Path(settings["dataset_dir"])
    dataset = read_training_data(folder, dataset_names(settings), evaluated=evaluated_names(settings))
    full = complete_from_dataset(settings, dataset)
    schedule = training_schedule(full, examples=dataset.examples, gpus=gpus, environ=os.environ)
    return TrainingPlan(
        config=str(config),
        settings=with_absolute_paths(full),
        base_model=str(settings["model_name_or_path"]),
        dataset=dataset,
        gpus=gpus,
        schedule=schedule,
        warnings=(*schedule.warnings(), *tower_warnings(full, gpus=gpus, environ=os.environ)),
    )
