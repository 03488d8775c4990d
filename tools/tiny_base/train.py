"""Trains the tiny base on questions about drawn windows, and keeps the weights that are best on held-out ones.

    python -m tools.tiny_base.train train --work FOLDER --minutes 120     (needs the training environment)
    python -m tools.tiny_base.train ship --work FOLDER --out src/vigil/tiny/base
    python -m tools.tiny_base.train widen --out src/vigil/tiny/base       (tokens for the texts of a new task)
    python -m tools.tiny_base.train set-apart --out src/vigil/tiny/base   (labels of a new task that it never said)

Resumes from FOLDER/last.pt; Ctrl-C stops cleanly. The learning rate follows the share of the minutes used. Minutes are
CPU time of this process, so on a shared machine training takes longer but gives the same quality.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from tools.tiny_base.apart import set_apart
from tools.tiny_base.evaluate import Examination, examine, held_out_windows
from tools.tiny_base.forward import use_fast_precision
from tools.tiny_base.losses import TinyLearner, TinyLosses
from tools.tiny_base.model import save_model, save_processor, untrained_model
from tools.tiny_base.questions import (
    CODE_QUESTIONS,
    Scenery,
    code_answer,
    code_length,
    describe_question,
    digit_question,
    image_question,
    yes_no_question,
)
from tools.tiny_base.texts import exact_texts, label_words, read_and_said
from tools.tiny_base.tokenizer import tiny_vocabulary
from tools.tiny_base.widening import model_with_vocabulary, widen
from tools.tiny_base.window_pool import WindowPool
from tools.tiny_base.windows import Encode, TrainingWindow, WindowImage, build_batch, patches_of
from vigil.errors import JobError
from vigil.files import atomic_path
from vigil.tiny import BASE_FOLDER

_STARTED_SHARE = 0.3  # training from an earlier base skips the first phase
_LENGTHS = (3,) * 14 + (2,) * 4 + (1, 0)  # pairs of frames in a batch; most windows are full or one pair short

log = logging.getLogger("tools.tiny_base.train")


@dataclass(frozen=True)
class TinyTrainSettings:
    """All settings of a training run."""

    minutes: float = 120.0
    batch: int = 32
    learning_rate: float = 1.5e-3
    warmup_steps: int = 150
    weight_decay: float = 0.05
    seed: int = 20
    pool_windows: int = 6000
    workers: int = 1
    threads: int = 1  # on a shared machine a second thread mostly waits at barriers
    examine_minutes: float = 6.0
    held_out: int = 1200
    held_out_difficulty: float = 0.6
    start: str = ""  # an earlier base to start from, with any vocabulary


@dataclass
class TinyTrainProgress:
    """The state saved in a checkpoint besides weights and optimizer."""

    step: int = 0
    seconds: float = 0.0
    drawn: int = 0
    best: float = -math.inf


class TinyTraining:
    """One training run in a work folder: state, steps, evaluations and checkpoints."""

    def __init__(self, work: Path, settings: TinyTrainSettings) -> None:
        self.work, self.settings = work, settings
        if not (work / "last.pt").exists():  # a resumed training keeps its vocabulary
            save_processor(work / "base", tiny_vocabulary())
        self.model = self._first_model(work / "base")
        self.learner = TinyLearner(self.model)
        self.optimiser = torch.optim.AdamW(
            self.learner.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98),
            weight_decay=settings.weight_decay, fused=True,
        )  # fmt: skip
        self.progress = TinyTrainProgress(seconds=_STARTED_SHARE * 60 * settings.minutes if settings.start else 0.0)
        tokenizer = AutoTokenizer.from_pretrained(str(work / "base"))
        self.encode: Encode = remembered(lambda text: list(tokenizer.encode(text)))
        self.pad_id = int(tokenizer.pad_token_id)
        if (work / "last.pt").exists():
            self._resume()

    def _first_model(self, processor: Path) -> Qwen3VLForConditionalGeneration:
        start = self.settings.start
        return model_with_vocabulary(Path(start), processor) if start else untrained_model(processor)

    def _resume(self) -> None:
        state = torch.load(self.work / "last.pt", weights_only=True)
        self.learner.load_state_dict(state["learner"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = TinyTrainProgress(**state["progress"])
        log.info("resumed at step %d, %.0f s", self.progress.step, self.progress.seconds)

    @property
    def share(self) -> float:
        """The share of the planned time used so far, 0..1."""
        return min(1.0, self.progress.seconds / (60 * self.settings.minutes))

    def step(self, windows: list[TrainingWindow], rng: np.random.Generator) -> TinyLosses:
        """Run one optimizer step on a batch; returns its losses."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        pairs = int(rng.choice(_LENGTHS))
        asked = [ask(rng, window.scenery, share=self.share, num_pairs=pairs) for window in windows]
        prompt = build_batch(self.encode, asked, num_pairs=pairs, pad_id=self.pad_id)
        frames = np.stack([first_frames(window.frames, pairs) for window in windows])
        targets = np.stack([window.targets[: max(1, pairs)] for window in windows])
        if pairs == 0:
            targets[..., 1] = 0.0  # nothing moves in a single image
        with use_fast_precision():
            losses = self.learner.losses(patches_of(frames), prompt, targets)
        weight = 1.0 if self.share < 0.5 else 0.4
        total = losses.answers + weight * (losses.patches + losses.tokens + losses.memory)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimiser.step()
        return losses

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.progress.step + 1) / self.settings.warmup_steps)
        return self.settings.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.share)))

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "learner": self.learner.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        with atomic_path(self.work / "last.pt") as partial:
            torch.save(state, partial)

    def keep_if_best(self, examination: Examination) -> None:
        """Log the evaluation, and write the weights to best/ if its held-out answers are the best so far."""
        record = asdict(examination) | asdict(self.progress) | {"at": time.strftime("%H:%M:%S %z")}
        with (self.work / "examinations.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
        if examination.near <= self.progress.best:
            return
        self.progress.best = examination.near
        save_model(self.model, self.work / "best")


def first_frames(frames: WindowImage, num_pairs: int) -> WindowImage:
    """The frames of the first pairs; 0 pairs mean a single image, which the processor repeats."""
    return frames[: 2 * num_pairs] if num_pairs else np.repeat(frames[:1], 2, axis=0)


def remembered(encode: Encode) -> Encode:
    """Cache the token ids of each text: the questions and answers repeat."""
    known: dict[str, list[int]] = {}

    def look_up(text: str) -> list[int]:
        if text not in known:
            if len(known) > 50_000:
                known.clear()
            known[text] = encode(text)
        return known[text]

    return look_up


def ask(rng: np.random.Generator, scenery: Scenery, *, share: float, num_pairs: int) -> tuple[str, str]:
    """Choose a random question and its answer: only digits at first, increasingly also words."""
    if num_pairs == 0:
        return image_question(rng, scenery)
    chance = rng.random()
    if num_pairs == 3:
        if chance < 0.25 * share:
            return describe_question(rng, scenery)
        if chance > 1 - 0.3 * share:
            return (digit_question if rng.random() < 0.4 else yes_no_question)(rng, scenery)
    # A shorter window is the start of the same clip: only the digits of its own pairs are valid.
    digits = scenery.digits if num_pairs == 3 else scenery.digits[code_length(0) : code_length(num_pairs)]
    return CODE_QUESTIONS[int(rng.integers(len(CODE_QUESTIONS)))], code_answer(digits)


def difficulty_at(share: float) -> float:
    """The maximum difficulty at a share of the time: easy at first, the full range after a fifth."""
    return float(np.interp(share, [0.0, 0.05, 0.2], [0.25, 0.6, 1.0]))


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets, so that training ends between two steps; a second one interrupts.

    An exception out of the handler would come at any place: in the middle of an optimizer step, or in a destructor,
    where Python prints and drops it.
    """
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            signal.default_int_handler(number, frame)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    work: Path, settings: TinyTrainSettings, *, report: Callable[[str], None], stopping: threading.Event | None = None
) -> bool:
    """Train until `settings.minutes` of CPU time are used, and save a checkpoint, also if interrupted.

    Returns whether it came to its end; False if `stopping` was set before.
    """
    stopping = stopping or threading.Event()
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(settings.threads)
    held_out = held_out_windows(settings.held_out, difficulty=settings.held_out_difficulty)
    run = TinyTraining(work, settings)
    pool = WindowPool(
        size=settings.pool_windows, workers=settings.workers, first_seed=settings.seed * 1_000_000 + run.progress.drawn
    )
    try:
        _run(run, pool, held_out, report=report, stopping=stopping)
    finally:
        run.save()
        pool.close()
    return run.share >= 1.0


def _run(
    run: TinyTraining,
    pool: WindowPool,
    held_out: list[TrainingWindow],
    *,
    report: Callable[[str], None],
    stopping: threading.Event,
) -> None:
    settings, progress = run.settings, run.progress
    pool.set_difficulty(difficulty_at(run.share))
    pool.refill(at_least=20 * settings.batch)
    next_examination = progress.seconds + 60 * settings.examine_minutes
    drawn_before = progress.drawn
    while run.share < 1.0 and not stopping.is_set():
        started = time.process_time()
        rng = np.random.default_rng((19, settings.seed, progress.step))
        pool.refill()
        losses = run.step(pool.sample(rng, settings.batch), rng)
        progress.step += 1
        progress.seconds += (time.process_time() - started) / settings.threads
        progress.drawn = drawn_before + pool.drawn
        if progress.step % 50 == 0:
            pool.set_difficulty(difficulty_at(run.share))
            report(_line(run, losses))
        if progress.seconds >= next_examination or run.share >= 1.0:
            next_examination += 60 * settings.examine_minutes
            result = examine(run.model, run.encode, held_out, pad_id=run.pad_id)
            report(_result_line(result))
            run.keep_if_best(result)
            run.save()


def _line(run: TinyTraining, losses: TinyLosses) -> str:
    parts = " ".join(f"{name} {value.item():.3f}" for name, value in vars(losses).items())
    done = run.progress
    return f"{done.step} {done.seconds:.0f}s {done.seconds / done.step:.3f}s/step drawn {done.drawn} {parts}"


def _result_line(result: Examination) -> str:
    digits = " ".join(f"{name} {value:.2f}" for name, value in result.by_digit.items())
    return (
        f"HELD OUT digits exact {result.exact:.3f} within one {result.near:.3f}"
        f" probe AUC {result.probe_auc:.3f} accuracy {result.probe_accuracy:.3f} | {digits}"
    )


def ship(work: Path, out: Path) -> None:
    """Copy the best weights, and the tokenizer and processor files, to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for path in (work / "base").iterdir():
        shutil.copyfile(path, out / path.name)
    model = Qwen3VLForConditionalGeneration.from_pretrained(str(work / "best"), dtype=torch.float32)
    save_model(model, out)
    (out / "model.safetensors").chmod(0o644)


def main(argv: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.tiny_base.train", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("verb", choices=["train", "ship", "widen", "set-apart"])
    parser.add_argument("--work", type=Path, default=Path("models/tiny"), help="folder of the checkpoints")
    parser.add_argument("--out", type=Path, default=BASE_FOLDER, help="ship, widen, set-apart: folder of the base")
    defaults = TinyTrainSettings()
    for name in ("minutes", "batch", "learning_rate", "seed", "workers", "threads", "examine_minutes", "start"):
        value = getattr(defaults, name)
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    given = vars(parser.parse_args(argv))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    verb, work, out = given.pop("verb"), given.pop("work"), given.pop("out")
    if verb == "ship":
        ship(work, out)
        return 0
    if verb == "widen":
        log.info("added %d tokens to %s", widen(out, exact_texts()), out)
        return 0
    if verb == "set-apart":
        log.info("gave %d tokens of %s rows of their own", set_apart(out, label_words(), kept=read_and_said()), out)
        return 0
    is_finished = False
    with stop_signals() as stopping, suppress(KeyboardInterrupt):
        is_finished = train(work, TinyTrainSettings(**given), report=log.info, stopping=stopping)
    if not is_finished:
        log.info("stopped; the same command resumes from %s", work / "last.pt")
    return 0 if is_finished else JobError.exit_code


if __name__ == "__main__":
    sys.exit(main())
