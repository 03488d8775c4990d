"""Write a folder of drawn clips that looks like a folder of recorded ones: fight/, normal/ and sources.csv.

Several clips share one drawn place and camera, which is their source, so that a split by source holds out whole
scenes. A clip is written under another name and then renamed: what is there is complete, and a second run goes on.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vigil.dataset.synth.cast import choose_activity
from vigil.dataset.synth.clip import DEFAULT_DIFFICULTY, draw_clip
from vigil.dataset.synth.figure import Image
from vigil.dataset.worker import begin_worker

Progress = Callable[[int, int], None]

_CLIPS_PER_SOURCE = 4


@dataclass(frozen=True)
class ClipPlan:
    """One clip that is to be written."""

    name: str
    label: str
    source: str
    seed: int
    scene_seed: int
    activity: str
    duration_s: float
    fps: float
    size_wh: tuple[int, int]
    difficulty: float

    def path(self, out: Path) -> Path:
        """Where the clip lies under the data set's folder."""
        return out / self.label / f"{self.name}.mp4"


def write_dataset(
    out: Path,
    *,
    clips: int,
    seed: int,
    fps: float = 12.0,
    size_wh: tuple[int, int] = (192, 144),
    difficulty: float = DEFAULT_DIFFICULTY,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Write clips (half of them fights) and sources.csv; progress is told (done, all) after every clip."""
    plans = plan_dataset(clips=clips, seed=seed, fps=fps, size_wh=size_wh, difficulty=difficulty)
    for label in ("fight", "normal"):
        (out / label).mkdir(parents=True, exist_ok=True)
    _write_sources(out, plans)
    missing = [plan for plan in plans if not plan.path(out).exists()]
    done = len(plans) - len(missing)
    told = progress or (lambda _number, _all: None)
    _write_clips(missing, out, workers=workers or os.cpu_count(), report=lambda number: told(done + number, len(plans)))


def _write_clips(plans: list[ClipPlan], out: Path, *, workers: int | None, report: Callable[[int], None]) -> None:
    """Write clips in processes and report how many are done after each one; Ctrl-C ends it after those begun."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=begin_worker)
    try:
        futures = [executor.submit(write_clip, plan, out) for plan in plans]
        for number, future in enumerate(as_completed(futures), start=1):
            future.result()
            report(number)
    finally:
        # here and not in a generator, which would be closed too late: at exit the workers would be waited for for ever
        executor.shutdown(cancel_futures=True)


def plan_dataset(
    *, clips: int, seed: int, fps: float, size_wh: tuple[int, int], difficulty: float = DEFAULT_DIFFICULTY
) -> list[ClipPlan]:
    """Decide every clip of a data set from its seed: labels alternate, and each source has both."""
    rng = np.random.default_rng((23, seed))
    counts = {"fight": 0, "normal": 0}
    plans = []
    for number in range(clips):
        label = "fight" if number % 2 == 0 else "normal"
        counts[label] += 1
        source = number // _CLIPS_PER_SOURCE
        duration_s = 2.0 if rng.random() < 0.25 else float(rng.uniform(3.0, 6.0))
        plans.append(
            ClipPlan(
                name=f"{label[:2]}{counts[label]:04d}", label=label, source=f"s{source:03d}",
                seed=int(rng.integers(1 << 40)), scene_seed=seed * 1_000_003 + source,
                activity=choose_activity(rng, label=label), duration_s=duration_s, fps=fps,
                size_wh=size_wh, difficulty=difficulty,
            )
        )  # fmt: skip
    return plans


def write_clip(plan: ClipPlan, out: Path) -> None:
    """Draw and encode one clip."""
    cv2.setNumThreads(1)
    clip = draw_clip(
        plan.seed, fps=plan.fps, duration_s=plan.duration_s, size_wh=plan.size_wh,
        activity=plan.activity, difficulty=plan.difficulty, scene_seed=plan.scene_seed,
    )  # fmt: skip
    path = plan.path(out)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        encode_video(part, clip.frames, fps=plan.fps)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def encode_video(path: Path, frames: Image, *, fps: float) -> None:
    """Encode RGB frames (T, H, W, 3) as H.264 in an mp4 file, whatever the path's ending."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "24", "preset": "veryfast", "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write_sources(out: Path, plans: list[ClipPlan]) -> None:
    part = out / "sources.csv.part"
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["clip", "label", "source"])
        writer.writerows([plan.name, plan.label, plan.source] for plan in plans)
    part.rename(out / "sources.csv")
