"""The schedule of a training: effective batch, steps per epoch and in total, and warnings about them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vigil.training.config import TrainingConfig, dataset_names, is_distributed, is_ray, process_count

FEW_STEPS = 40
"""With fewer steps a LoRA hardly differs from its base model, whatever the loss."""

DEFAULTS: Mapping[str, float] = {
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "num_train_epochs": 3.0,
    "max_steps": -1,
}
"""LLaMA-Factory's defaults for settings that a config leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSchedule:
    """The steps of a training; `cards` is the number of processes, one per GPU; `by_steps` if max_steps limits it."""

    examples: int
    cards: int
    batch: int
    accumulation: int
    epochs: float
    steps: int
    by_steps: bool = False
    for_one_card: bool = True
    is_packed: bool = False

    @property
    def effective_batch(self) -> int:
        """Examples per optimizer step."""
        return self.cards * self.batch * self.accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return _steps_per_epoch(self.examples, self.cards, self.batch, self.accumulation)

    def __str__(self) -> str:
        most = "at most " if self.is_packed else ""
        factors = f"{_counted(self.cards, 'card')} x batch {self.batch} x accumulation {self.accumulation}"
        an_epoch, in_all = _counted(self.steps_per_epoch, "step"), _counted(self.steps, "step")
        return (
            f"effective batch {self.effective_batch} ({factors}), {self.examples} examples, {most}{an_epoch} an epoch, "
            f"{most}{in_all} in {_counted(self.epochs, 'epoch')}"
        )

    def warnings(self) -> Iterator[str]:
        """Warnings to show before the training starts; each is one line that says what to do."""
        if self.cards > 1 and self.for_one_card:
            yield (
                f"{self.cards} cards make the effective batch {self.effective_batch}, {self.cards} times that of this "
                f"config, which is for one card: {self._smaller()}, use one card (CUDA_VISIBLE_DEVICES=0), or use "
                "qwen3vl_2b_lora_multigpu"
            )
        if self.steps < FEW_STEPS:
            yield (
                f"{_counted(self.steps, 'step')} are few, a LoRA needs {FEW_STEPS} or more: {self._longer()}, or "
                "gather more clips"
            )

    def _smaller(self) -> str:
        fits = next(n for n in range(self.cards, 0, -1) if self.accumulation % n == 0)
        if fits > 1:
            return f"lower gradient_accumulation_steps to {self.accumulation // fits}"
        return f"lower per_device_train_batch_size to {max(1, self.batch // self.cards)}"

    def _longer(self) -> str:
        if self.by_steps:
            return f"raise max_steps (now {self.steps})"
        return f"num_train_epochs={math.ceil(FEW_STEPS / self.steps_per_epoch)} makes that many"


def training_schedule(
    settings: TrainingConfig, *, examples: int, gpus: int, environ: Mapping[str, str]
) -> TrainingSchedule:
    """Computes the schedule from the settings as LLaMA-Factory's trainer does."""
    given = dict(DEFAULTS) | {key: settings[key] for key in DEFAULTS if settings.get(key) is not None}
    batch, accumulation = int(given["per_device_train_batch_size"]), int(given["gradient_accumulation_steps"])
    cards = process_count(settings, gpus=gpus, environ=environ)
    examples_used = _training_examples(settings, examples)
    per_epoch = _steps_per_epoch(examples_used, cards, batch, accumulation)
    limit = int(given["max_steps"])
    steps = limit if limit > 0 else math.ceil(given["num_train_epochs"] * per_epoch)
    return TrainingSchedule(
        examples=examples_used,
        cards=cards,
        batch=batch,
        accumulation=accumulation,
        epochs=steps / per_epoch if limit > 0 else given["num_train_epochs"],
        steps=steps,
        by_steps=limit > 0,
        for_one_card=not (is_distributed(settings) or is_ray(settings) or settings.get("fsdp")),
        is_packed=bool(settings.get("packing") or settings.get("neat_packing")),
    )


def _training_examples(settings: TrainingConfig, examples: int) -> int:
    """The number of training examples after `max_samples` and `val_size`."""
    if settings.get("max_samples"):
        examples = min(examples, int(settings["max_samples"]) * len(dataset_names(settings)))
    held_out = settings.get("val_size") or 0
    return max(1, examples - (int(held_out) if held_out > 1 else math.ceil(examples * held_out)))


def _steps_per_epoch(examples: int, cards: int, batch: int, accumulation: int) -> int:
    return math.ceil(math.ceil(math.ceil(examples / batch) / cards) / accumulation)


def _counted(number: float, noun: str) -> str:
    return f"{round(number, 2):g} {noun}{'' if number == 1 else 's'}"
