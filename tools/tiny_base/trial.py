"""Tries the base: trains a LoRA for the fight verdict and scores it on scenes that it was not trained on.

    python -m tools.tiny_base.trial --base src/vigil/tiny/base                  drawn clips, other scenes
    python -m tools.tiny_base.trial --base src/vigil/tiny/base --real FOLDER    and then recorded clips

The vision tower is frozen, as in LLaMA-Factory's default, so every window is encoded once and only the language model
runs again. The question and the label words are those of the fight task. Recorded clips are split by source.
"""

from __future__ import annotations

import argparse
import csv
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tools.tiny_base.evaluate import auc
from tools.tiny_base.forward import VisualFeatures, encode_frames, run_language_model, use_fast_precision
from tools.tiny_base.model import add_lora
from tools.tiny_base.windows import FPS, WINDOW_FRAMES, Encode, WindowImage, build_batch, fitted, patches_of
from vigil.synth.clip import draw_clip

log = logging.getLogger("tools.tiny_base.trial")
QUESTION = "画面中是否有人打架？请先回答“是的”或“没有”。"
WORDS = ("没有", "是的")
_SEED = 700_000_000


@dataclass(frozen=True)
class EncodedWindows:
    """Encoded windows: features (N, tokens, D) with deepstack features, labels (N,) and sources."""

    tokens: Tensor
    deepstack: tuple[Tensor, ...]
    truth: Tensor
    sources: tuple[str, ...]

    def rows(self, index: Tensor) -> VisualFeatures:
        """The features of the windows at `index`."""
        return VisualFeatures(torch.empty(0), self.tokens[index], tuple(extra[index] for extra in self.deepstack))


@dataclass(frozen=True)
class TrialScore:
    """AUC and accuracy on n windows."""

    n: int
    auc: float
    accuracy: float

    def __str__(self) -> str:
        low, high = wilson(self.accuracy, self.n)
        return f"n {self.n} AUC {self.auc:.3f} accuracy {self.accuracy:.3f} (95 %: {low:.3f} to {high:.3f})"


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share of n."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - half, middle + half


def seen_windows(
    model: Qwen3VLForConditionalGeneration, frames: list[WindowImage], truth: list[float], sources: list[str]
) -> EncodedWindows:
    """Encode windows with the vision tower."""
    parts = []
    for start in range(0, len(frames), 64):
        with torch.no_grad(), use_fast_precision():
            parts.append(encode_frames(model.model.visual, patches_of(np.stack(frames[start : start + 64]))))
    deepstack = tuple(torch.cat([part.deepstack[k] for part in parts]) for k in range(len(parts[0].deepstack)))
    return EncodedWindows(torch.cat([part.tokens for part in parts]), deepstack, torch.tensor(truth), tuple(sources))


def drawn_windows(
    model: Qwen3VLForConditionalGeneration, count: int, *, first: int, difficulty: float
) -> EncodedWindows:
    """Windows of drawn clips, each in a scene of its own."""
    frames, truth = [], []
    for number in range(count):
        clip = draw_clip(
            _SEED + first + number, fps=FPS, duration_s=WINDOW_FRAMES / FPS, size_wh=(192, 144), difficulty=difficulty
        )
        frames.append(np.stack([fitted(frame) for frame in clip.frames]))
        truth.append(float(clip.label == "fight"))
    return seen_windows(model, frames, truth, [str(first + number) for number in range(count)])


def recorded_windows(model: Qwen3VLForConditionalGeneration, folder: Path) -> EncodedWindows:
    """One window per clip of a folder with sources.csv; a clip shorter than a window is sampled more densely."""
    frames, truth, sources = [], [], []
    with (folder / "sources.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            frames.append(_window_of(next((folder / row["label"]).glob(row["clip"] + ".*"))))
            truth.append(float(row["label"] == "fight"))
            sources.append(row["source"])
    return seen_windows(model, frames, truth, sources)


def _window_of(path: Path) -> WindowImage:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        rate = float(container.streams.video[0].average_rate or 25)
    step = min(rate / FPS, (len(frames) - 1) / (WINDOW_FRAMES - 1))
    return np.stack([fitted(frames[min(len(frames) - 1, round(step * i))]) for i in range(WINDOW_FRAMES)])


class Trial:
    """A LoRA on a base: fit and score it."""

    def __init__(self, base: Path, *, rank: int, learning_rate: float, seed: int = 1) -> None:
        torch.manual_seed(seed)
        self.model = Qwen3VLForConditionalGeneration.from_pretrained(str(base), dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(str(base))
        self.encode: Encode = lambda text: list(tokenizer.encode(text))
        self.pad_id = int(tokenizer.pad_token_id)
        self.words = [self.encode(word)[0] for word in WORDS]
        self.parameters = add_lora(self.model, rank=rank)
        self.learning_rate = learning_rate

    def fit(self, windows: EncodedWindows, *, epochs: float, batch: int = 32) -> None:
        """Train on windows with a one-cycle learning rate."""
        steps = max(1, int(epochs * len(windows.truth) / batch))
        optimiser = torch.optim.AdamW(self.parameters, lr=self.learning_rate, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, self.learning_rate, steps + 1, pct_start=0.1)
        order = torch.cat([torch.randperm(len(windows.truth)) for _ in range(math.ceil(epochs) + 1)])
        for step in range(steps):
            index = order[step * batch : (step + 1) * batch]
            logits = self._logits(windows.rows(index))
            loss = nn.functional.cross_entropy(logits, windows.truth[index].long())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            optimiser.step()
            schedule.step()

    def _logits(self, visual: VisualFeatures) -> Tensor:
        pairs = WINDOW_FRAMES // 2
        asked = [(QUESTION, "")] * len(visual.tokens)
        prompt = build_batch(self.encode, asked, num_pairs=pairs, pad_id=self.pad_id)
        last = int((prompt.labels[0] >= 0).argmax()) - 1
        with use_fast_precision():
            hidden = run_language_model(self.model, visual, prompt)[:, last]
        return (hidden.float() @ self.model.lm_head.weight.T)[:, self.words]

    def margins(self, windows: EncodedWindows) -> Tensor:
        """The log odds of yes against no, log P(yes) / P(no), for every window."""
        parts = torch.arange(len(windows.truth)).split(64)
        with torch.no_grad():
            logits = torch.cat([self._logits(windows.rows(part)) for part in parts])
        return logits[:, 1] - logits[:, 0]

    def score(self, windows: EncodedWindows) -> TrialScore:
        """AUC and accuracy on encoded windows."""
        return scored(self.margins(windows), windows.truth)


def scored(margins: Tensor, truth: Tensor) -> TrialScore:
    """AUC and accuracy of margins."""
    right = ((margins > 0) == (truth > 0.5)).float().mean()
    return TrialScore(len(truth), auc(margins, truth), right.item())


def folds(sources: tuple[str, ...], *, count: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The train and test rows of each grouped fold: no source is on both sides."""
    names = sorted(set(sources))
    np.random.default_rng(seed).shuffle(names)
    fold_of = {name: number % count for number, name in enumerate(names)}
    where = torch.tensor([fold_of[source] for source in sources])
    for number in range(count):
        yield (where != number).nonzero()[:, 0], (where == number).nonzero()[:, 0]


def subset(windows: EncodedWindows, rows: Tensor) -> EncodedWindows:
    """The windows of the given rows."""
    return EncodedWindows(
        windows.tokens[rows], tuple(extra[rows] for extra in windows.deepstack), windows.truth[rows],
        tuple(windows.sources[int(row)] for row in rows),
    )  # fmt: skip


def joined(first: EncodedWindows, second: EncodedWindows, *, times: int) -> EncodedWindows:
    """Concatenates the first windows and the second ones, the latter repeated `times` times."""
    return EncodedWindows(
        torch.cat([first.tokens] + [second.tokens] * times),
        tuple(torch.cat([a] + [b] * times) for a, b in zip(first.deepstack, second.deepstack, strict=True)),
        torch.cat([first.truth] + [second.truth] * times),
        first.sources + second.sources * times,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.tiny_base.trial", description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--real", type=Path, help="folder of recorded clips with sources.csv")
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--tests", type=int, default=600)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--difficulty", type=float, default=0.6)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(given.threads)
    trial = Trial(given.base, rank=given.rank, learning_rate=given.learning_rate)
    train = drawn_windows(trial.model, given.samples, first=0, difficulty=given.difficulty)
    test = drawn_windows(trial.model, given.tests, first=10_000_000, difficulty=given.difficulty)
    trial.fit(train, epochs=given.epochs)
    log.info("drawn, other scenes: %s", trial.score(test))
    if given.real is not None:
        real = recorded_windows(trial.model, given.real)
        log.info("recorded, trained on drawn clips only: %s", trial.score(real))
        log.info("recorded, grouped folds, drawn and recorded: %s", _grouped(given, train, real))
    return 0


def _grouped(given: argparse.Namespace, train: EncodedWindows, real: EncodedWindows) -> TrialScore:
    margins = torch.zeros(len(real.truth))
    for fit_rows, test_rows in folds(real.sources, count=4, seed=1):
        trial = Trial(given.base, rank=given.rank, learning_rate=given.learning_rate)
        trial.fit(joined(train, subset(real, fit_rows), times=5), epochs=given.epochs * 0.5)
        margins[test_rows] = trial.margins(subset(real, test_rows))
    return scored(margins, real.truth)


if __name__ == "__main__":
    sys.exit(main())
