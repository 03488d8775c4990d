"""Trains an adapter: checks everything beforehand (`plan_training`), runs LLaMA-Factory, writes the manifest."""

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from vigil import __version__
from vigil.dataset.used_clips import USED_KEY
from vigil.environments import Environment, environment
from vigil.errors import JobError, UsageError
from vigil.gpus import CUDA_PACKAGES, check_driver, gpu_count
from vigil.manifest import Base, read_manifest
from vigil.models import ModelFamily, family_in, family_named
from vigil.models.base_model import base_digest, check_adapter, check_checkpoint, describe_base
from vigil.training.config import (
    TrainingConfig,
    adapt_to_machine,
    check_hardware,
    check_loggers,
    complete_from_dataset,
    dataset_names,
    evaluated_names,
    is_distributed,
    is_ray,
    launch_environment,
    load_training_config,
    tower_warnings,
    with_absolute_paths,
)
from vigil.training.data import TrainingData, read_training_data
from vigil.training.learning_curve import LearningCurve
from vigil.training.lineage import lineage, named_digests
from vigil.training.llamafactory import (
    LOG_NAME,
    LlamaFactoryProcess,
    TrainerLog,
    TrainingProgress,
    TrainingStopped,
    plain_adapter,
    speed_of_run,
)
from vigil.training.output import ResumePoint, RunRecord, last_checkpoint, lock_output, prepare_output, write_run_record
from vigil.training.schedule import TrainingSchedule, training_schedule

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A training run that has passed every check; `settings` go to LLaMA-Factory and have absolute paths.

    `warnings` are worth reading before the run starts; each is one line and says what to do.
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
        """The folder the adapter is written to."""
        return Path(self.settings["output_dir"])


def check_family(base: Path, dataset: TrainingData) -> None:
    """Raises UsageError if the dataset was built for another model family than the base model's."""
    recorded, expected = family_named(dataset.manifest.family), family_in(base)
    if recorded is not expected:
        raise UsageError(
            f"{dataset.folder} was built for {recorded.title} (frames in multiples of {recorded.pixel_multiple} px) "
            f"and {base} is of {expected.title} ({expected.pixel_multiple} px); build it with: "
            f"vigil dataset build CLIPS --out FOLDER --family {expected.name}"
        )


def check_processes(settings: TrainingConfig, family: ModelFamily, *, gpus: int) -> None:
    """Raises UsageError if LLaMA-Factory would start trainer processes for a family whose positions Vigil corrects.

    The correction is applied in Vigil's own process only (see training_env/positions.py).
    """
    if family.counts_seconds and (gpus > 1 or is_distributed(settings) or is_ray(settings)):
        raise UsageError(
            f"{family.title} is trained in one process only: the pinned transformers counts the seconds of its videos "
            "wrongly, and Vigil mends that in its own process, not in those of torchrun or Ray; set "
            "CUDA_VISIBLE_DEVICES=0, and leave deepspeed and ray_num_workers out"
        )


def plan_training(config: str | Path, overrides: Sequence[str] = ()) -> TrainingPlan:
    """Makes every check that is possible before a training run starts, and returns its plan.

    Raises ConfigError, DatasetError, UsageError or EnvironmentMissing; each message says what to do.
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
    check_family(base, dataset)
    full = complete_from_dataset(settings, dataset)
    check_processes(full, family_in(base), gpus=gpus)
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


CONFIG_NAME = "train.yaml"
OUTPUT_NAME = "train.log"
VERSIONED = ("llamafactory", "torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A finished training run; `figures` are saved in the manifest, `already` is True if nothing had to be done."""

    output: Path
    figures: dict[str, Any]
    already: bool = False


def train(
    config: str | Path,
    overrides: Sequence[str] = (),
    *,
    fresh: bool = False,
    on_progress: Callable[[TrainingProgress], None] = lambda progress: None,
) -> TrainingResult:
    """Trains, or resumes a run that was stopped (unless `fresh`), and writes the manifest at the end.

    Raises JobError if LLaMA-Factory fails or is stopped, and whatever `plan_training` raises.
    """
    trainer = environment("train")
    plan = plan_training(config, overrides)
    check_loggers(plan.settings, trainer)
    if not plan.settings.get("use_cpu"):
        check_driver(trainer.versions(CUDA_PACKAGES))
    run = RunRecord(
        digests=named_digests(plan.settings),
        settings=plan.settings,
        data_digest=plan.dataset.manifest.data_digest,
        base_digest=base_digest(Path(plan.settings["model_name_or_path"])),
    )
    with lock_output(plan.output) as lock:
        start = prepare_output(plan.output, run, fresh=fresh)
        if start.finished:
            log.info("%s is trained already, with these very settings; --fresh trains it anew", plan.output)
            return TrainingResult(output=plan.output, figures=read_manifest(plan.output).training, already=True)
        base = describe_base(Path(plan.settings["model_name_or_path"]))
        write_run_record(plan.output, run)
        _announce(plan, start)
        seconds = _run(plan, start, trainer, on_progress, lock=lock)
        figures = _figures(plan, run, trainer, start, seconds)
        _write_manifest(plan, base, figures)
    return TrainingResult(output=plan.output, figures=figures)


def _announce(plan: TrainingPlan, start: ResumePoint) -> None:
    log.info(
        "%s: %d examples of up to %d tokens (%d of them pictures, cutoff_len %d), frames %s, %s",
        plan.base_model,
        plan.dataset.examples,
        plan.dataset.longest_tokens,
        plan.dataset.visual_tokens,
        plan.settings["cutoff_len"],
        ", ".join(f"{w}x{h}" for w, h in sorted(plan.dataset.sizes_wh)[:4]),
        f"{plan.gpus} GPU(s)" if plan.gpus else "no GPU",
    )
    log.info("%s", plan.schedule)
    for warning in plan.warnings:
        log.warning("%s", warning)
    if start.checkpoint is not None:
        log.info("going on from %s", start.checkpoint)


def _run(
    plan: TrainingPlan,
    start: ResumePoint,
    trainer: Environment,
    on_progress: Callable[[TrainingProgress], None],
    *,
    lock: int,
) -> float:
    settings = adapt_to_machine(plan.settings, gpus=plan.gpus, environ=os.environ)
    settings |= (
        {"resume_from_checkpoint": str(start.checkpoint)} if start.checkpoint else {"overwrite_output_dir": True}
    )
    config = plan.output / CONFIG_NAME
    job = LlamaFactoryProcess(
        environment=trainer,
        arguments=("train", str(config)),
        log=plan.output / OUTPUT_NAME,
        variables=launch_environment(settings, gpus=plan.gpus, environ=os.environ),
        forks=is_distributed(settings) or plan.gpus > 1,
        lock=lock,
    )
    if start.checkpoint is None:
        (plan.output / LOG_NAME).unlink(missing_ok=True)
    follow = TrainerLog(plan.output / LOG_NAME, begun_at=start.step)
    started_s = time.monotonic()
    try:
        with plain_adapter(settings) as plain:
            config.write_text(
                yaml.safe_dump(plain, allow_unicode=True, sort_keys=False), encoding="utf-8", errors="backslashreplace"
            )
            job.run(tick=lambda: _report_progress(follow, on_progress))
    except TrainingStopped as stopped:
        raise JobError(_stopped_message(plan)) from stopped
    return time.monotonic() - started_s


def _report_progress(follow: TrainerLog, on_progress: Callable[[TrainingProgress], None]) -> None:
    for progress in follow.read_new():
        on_progress(progress)


def _stopped_message(plan: TrainingPlan) -> str:
    checkpoint = last_checkpoint(plan.output)
    where = f"goes on from {checkpoint.name}" if checkpoint else "starts again, as there was no checkpoint yet"
    return f"the training was stopped; the same command {where} (--fresh throws it away)"


def _figures(
    plan: TrainingPlan, run: RunRecord, trainer: Environment, start: ResumePoint, seconds: float
) -> dict[str, Any]:
    results = _json_or_empty(plan.output / "train_results.json")
    last = TrainerLog(plan.output / LOG_NAME, from_start=True)
    losses = [progress.loss for progress in last.read_new() if progress.loss is not None]
    steps = last.last.step if last.last else 0
    speed = speed_of_run(results.get("train_samples_per_second"), steps=steps, begun_at=start.step)
    return {
        "config": plan.config,
        "steps": steps,
        "resumed": start.checkpoint is not None,
        "resumed_at_step": start.step,
        "seconds": round(seconds, 1),
        "train_seconds": round(float(results.get("train_runtime", 0.0)), 1),
        "samples_per_second": speed,
        "final_loss": losses[-1] if losses else None,
        **_curve(plan).figures(),
        "gpus": plan.gpus,
        "effective_batch": plan.schedule.effective_batch,
        "base_digest": run.base_digest,
        **lineage(plan.settings, plan.dataset),
        USED_KEY: {split: used.to_json() for split, used in plan.dataset.clips_used.items()},
        "words": plan.dataset.manifest.training.get("dataset", {}).get("words", {}),
        "versions": trainer.versions(VERSIONED),
        "settings": {key: value for key, value in plan.settings.items() if not str(value).startswith("/")},
    }


def _curve(plan: TrainingPlan) -> LearningCurve:
    curve = LearningCurve.of(plan.output)
    if plan.settings.get("plot_loss"):
        curve.replace_pictures(plan.output)
    return curve


def _write_manifest(plan: TrainingPlan, base: Base, figures: dict[str, Any]) -> None:
    manifest = replace(
        plan.dataset.manifest,
        base_model=plan.base_model,
        template=plan.settings["template"],
        examples=plan.dataset.examples,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        vigil_version=__version__,
        calibration=None,
        training=figures,
        base=base,
    )
    manifest.write(plan.output)


def _json_or_empty(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
