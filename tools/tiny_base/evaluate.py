"""Evaluates the base: its digits on held-out windows, and a probe for fights on its features.

The probe is a logistic regression on frozen features; the base itself is never trained on the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tools.tiny_base.digits import PAIR_DIGITS, WINDOW_DIGITS
from tools.tiny_base.forward import encode_frames, run_language_model, use_fast_precision, visual_hidden
from tools.tiny_base.questions import CODE_QUESTIONS, code_answer
from tools.tiny_base.windows import (
    Encode,
    PromptBatch,
    TrainingWindow,
    WindowImage,
    build_batch,
    draw_window,
    patches_of,
)

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

HELD_OUT_SEED = 900_000_000
_BATCH = 64


@dataclass(frozen=True)
class Examination:
    """Held-out figures: share of exact digits, share within one, and the fight probe's AUC and accuracy."""

    exact: float
    near: float
    by_digit: dict[str, float]
    probe_auc: float
    probe_accuracy: float


def held_out_windows(count: int, *, difficulty: float) -> list[TrainingWindow]:
    """Windows with seeds that training never uses."""
    return [draw_window(HELD_OUT_SEED + number, difficulty=difficulty) for number in range(count)]


def examine(
    model: Qwen3VLForConditionalGeneration, encode: Encode, windows: list[TrainingWindow], *, pad_id: int
) -> Examination:
    """Evaluate a model on the last third of the windows; the rest only fits the probe."""
    right, near, features = [], [], []
    for part in _parts(windows):
        prompt = _code_prompt(encode, part, pad_id)
        with torch.no_grad():
            hidden = _hidden(model, np.stack([window.frames for window in part]), prompt)
            hits, almost = _digit_hits(model, encode, hidden, prompt, len(part))
        features.append(window_features(hidden, prompt))
        right.append(hits)
        near.append(almost)
    test = len(windows) // 3
    hits, almost = torch.cat(right)[-test:], torch.cat(near)[-test:]
    names = list(WINDOW_DIGITS) + [f"pair.{name}" for name in PAIR_DIGITS]
    truth = torch.tensor([float(window.is_fight) for window in windows])
    scores = fitted_probe(torch.cat(features), truth, num_test=test)
    return Examination(
        exact=float(hits.mean()), near=float(almost.mean()),
        by_digit={name: float(hits[:, number].mean()) for number, name in enumerate(names)},
        probe_auc=auc(scores, truth[-test:]),
        probe_accuracy=float(((scores > 0) == (truth[-test:] > 0.5)).float().mean()),
    )  # fmt: skip


def _parts(windows: list[TrainingWindow]) -> Iterator[list[TrainingWindow]]:
    for start in range(0, len(windows), _BATCH):
        yield windows[start : start + _BATCH]


def _code_prompt(encode: Encode, windows: list[TrainingWindow], pad_id: int) -> PromptBatch:
    asked = [(CODE_QUESTIONS[0], code_answer(window.scenery.digits)) for window in windows]
    return build_batch(encode, asked, num_pairs=windows[0].frames.shape[0] // 2, pad_id=pad_id)


def _hidden(model: Qwen3VLForConditionalGeneration, frames: WindowImage, prompt: PromptBatch) -> Tensor:
    with use_fast_precision():
        return run_language_model(model, encode_frames(model.model.visual, patches_of(frames)), prompt)


def window_features(hidden: Tensor, prompt: PromptBatch) -> Tensor:
    """Frozen features (B, D): mean, deviation and maximum of the visual tokens, and the last prompt token."""
    visual = visual_hidden(hidden.float(), prompt)
    last = int((prompt.labels[0] >= 0).argmax()) - 1
    flat = visual.flatten(1, 2)
    return torch.cat((flat.mean(1), flat.std(1), flat.amax(1), hidden[:, last].float()), dim=1)


def _digit_hits(
    model: Qwen3VLForConditionalGeneration, encode: Encode, hidden: Tensor, prompt: PromptBatch, rows: int
) -> tuple[Tensor, Tensor]:
    labels = torch.from_numpy(prompt.labels)[:, 1:]
    chosen = labels != -100
    digits = torch.tensor([encode(str(digit))[0] for digit in range(10)])
    guess = model.lm_head(hidden[:, :-1][chosen].float())[:, digits].argmax(-1)
    wanted = labels[chosen]
    value = (wanted[:, None] == digits).float().argmax(-1)
    shape = (rows, -1)
    hits, almost = (guess == value).float().reshape(shape), ((guess - value).abs() <= 1).float().reshape(shape)
    return hits[:, :-2], almost[:, :-2]


def fitted_probe(features: Tensor, truth: Tensor, *, num_test: int, penalty: float = 1e-2) -> Tensor:
    """Scores of the last `num_test` rows by a logistic regression fitted to the other rows."""
    mean, spread = features[:-num_test].mean(0), features[:-num_test].std(0) + 1e-6
    scaled = (features - mean) / spread
    weights = torch.zeros(scaled.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        logits = scaled[:-num_test] @ weights[:-1] + weights[-1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, truth[:-num_test])
        loss = loss + penalty * weights[:-1].square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (scaled[-num_test:] @ weights[:-1] + weights[-1]).detach()


def auc(scores: Tensor, truth: Tensor) -> float:
    """Area under the ROC curve: the share of pairs in which a positive scores above a negative, ties counting half."""
    positive, negative = scores[truth > 0.5], scores[truth <= 0.5]
    above = (positive[:, None] > negative).float() + 0.5 * (positive[:, None] == negative).float()
    return float(above.mean()) if above.numel() else float("nan")
