"""Writes a folder of drawn clips with the layout of recorded ones: fight/, normal/ and sources.csv.

The task `anomaly9` has a folder for each class that can be drawn.

Several clips share a scene and camera, which is their source, so that a split by source holds out whole scenes.
Clips are written to a temporary name and renamed: a clip that exists is complete, and a second run draws the rest.
"""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from vigil.dataset.groups import SOURCES_NAME
from vigil.dataset.workers import init_worker
from vigil.errors import UsageError
from vigil.files import atomic_path, write_atomically
from vigil.synth.actors import choose_activity
from vigil.synth.clip import DEFAULT_DIFFICULTY, Scenes, draw_clip
from vigil.synth.figure import Image
from vigil.synth.incidents import ANOMALY_FOLDERS, choose_scene

SynthProgress = Callable[[int, int], None]

FOLDERS: Mapping[Scenes, tuple[str, ...]] = {"fight": ("fight", "normal"), "anomaly9": ANOMALY_FOLDERS}
"""The folders of the clips of each task that can be drawn."""

_TURNS: Mapping[Scenes, tuple[str, ...]] = {"fight": ("fight", "normal"), "anomaly9": (*ANOMALY_FOLDERS, "normal")}
"""In which order clips are drawn, again and again: of ten clips of anomaly9, two are normal."""

RECORD_NAME = "synth.json"
DRAWN_NAME = re.compile(
    rf"(?:{'|'.join(sorted({folder[:2] for each in FOLDERS.values() for folder in each}))})\d{{4,}}"
)
_CLIPS_PER_SOURCE = 4


@dataclass(frozen=True)
class SynthSettings:
    """The settings that decide what the clips show; recorded beside them, so that different ones are not mixed."""

    seed: int
    fps: float
    width: int
    height: int
    difficulty: float
    task: Scenes = "fight"

    def to_json(self) -> dict[str, Any]:
        """The settings as plain data; those of fights as they were before there were other tasks."""
        data = asdict(self)
        if self.task == "fight":
            del data["task"]
        return data


@dataclass(frozen=True)
class SynthClipSpec:
    """One clip to draw."""

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
    task: Scenes = "fight"

    def path(self, out: Path) -> Path:
        """The clip's path below the dataset's folder."""
        return out / self.label / f"{self.name}.mp4"


def write_synth_dataset(
    out: Path,
    *,
    clips: int,
    seed: int,
    fps: float = 12.0,
    size_wh: tuple[int, int] = (192, 144),
    difficulty: float = DEFAULT_DIFFICULTY,
    task: Scenes = "fight",
    workers: int | None = None,
    fresh: bool = False,
    progress: SynthProgress | None = None,
) -> int:
    """Write clips (of the task `fight` half of them fights) and sources.csv.

    `progress(done, total)` is called after every clip.

    Returns the number of clips in the folder, which is larger than `clips` if an earlier run drew more. Raises
    UsageError if the folder holds clips drawn with other settings (`fresh` deletes them first), or foreign files.
    """
    drawing = SynthSettings(seed=seed, fps=fps, width=size_wh[0], height=size_wh[1], difficulty=difficulty, task=task)
    _refuse_foreign(out)
    if fresh:
        _delete_drawn(out)
    earlier = _require_same(out, drawing)
    for folder in FOLDERS[task]:
        (out / folder).mkdir(parents=True, exist_ok=True)
    longer = plan_synth_dataset(
        clips=max(clips, earlier), seed=seed, fps=fps, size_wh=size_wh, difficulty=difficulty, task=task
    )
    plans = longer[:clips]
    remaining = [plan for plan in longer[clips:] if plan.path(out).exists()]
    write_atomically(out / RECORD_NAME, json.dumps({"clips": len(longer), **drawing.to_json()}) + "\n")
    _write_sources(out, plans + remaining)
    missing = [plan for plan in plans if not plan.path(out).exists()]
    done = len(plans) - len(missing)
    on_progress = progress or (lambda _done, _total: None)
    _write_clips(
        missing,
        out,
        workers=workers or os.cpu_count(),
        report=lambda number: on_progress(done + number, len(plans)),
    )
    return len(plans) + len(remaining)


def _delete_drawn(out: Path) -> None:
    """Delete drawn clips, recognised by their names, and the record; keep everything else."""
    for path in _drawn(out):
        path.unlink()
    (out / RECORD_NAME).unlink(missing_ok=True)


def _refuse_foreign(out: Path) -> None:
    """Raises UsageError if files of these names were not written by `vigil synth`, which leaves a record."""
    taken = [path for path in (out / SOURCES_NAME, *_drawn(out)) if path.exists()]
    if taken and not (out / RECORD_NAME).is_file():
        raise UsageError(
            f"{taken[0]} was not written by vigil synth (there is no {RECORD_NAME}) and stays as it is; name another "
            "folder for drawn clips"
        )


def _drawn(out: Path) -> list[Path]:
    folders = dict.fromkeys(folder for each in FOLDERS.values() for folder in each)
    return [path for folder in folders for path in (out / folder).glob(f"{folder[:2]}[0-9][0-9][0-9][0-9]*.mp4")]


def _require_same(out: Path, drawing: SynthSettings) -> int:
    """The number of clips of an earlier run, or 0; raises UsageError if it had other settings."""
    if not _drawn(out):
        return 0
    record = _read_record(out / RECORD_NAME)
    record = {"task": "fight", **record}
    now = asdict(drawing)
    differences = [f"{key} {record.get(key, 'unknown')}, not {now[key]}" for key in now if record.get(key) != now[key]]
    if differences:
        raise UsageError(
            f"{out} holds clips that were drawn with other settings ({'; '.join(differences)}); use the same settings "
            "to resume, name another folder, or --fresh to draw all clips again"
        )
    return int(record["clips"])


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("clips"), int) else {}


def _write_clips(plans: list[SynthClipSpec], out: Path, *, workers: int | None, report: Callable[[int], None]) -> None:
    """Write clips in processes and report the number done after each; Ctrl-C stops after the clips in progress."""
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(max_workers=workers, mp_context=context, initializer=init_worker)
    try:
        futures = [executor.submit(write_synth_clip, plan, out) for plan in plans]
        for number, future in enumerate(as_completed(futures), start=1):
            future.result()
            report(number)
    finally:
        # Not in a generator: it would be closed too late, and the interpreter would wait for the workers for ever.
        executor.shutdown(cancel_futures=True)


def plan_synth_dataset(
    *,
    clips: int,
    seed: int,
    fps: float,
    size_wh: tuple[int, int],
    difficulty: float = DEFAULT_DIFFICULTY,
    task: Scenes = "fight",
) -> list[SynthClipSpec]:
    """Plan every clip of a dataset from its seed: labels take turns, and each source has several."""
    rng = np.random.default_rng((23, seed))
    counts = dict.fromkeys(FOLDERS[task], 0)
    turns = _TURNS[task]
    plans = []
    for number in range(clips):
        label = turns[number % len(turns)]
        counts[label] += 1
        source = number // _CLIPS_PER_SOURCE
        duration_s = _duration_s(rng, task)
        plans.append(
            SynthClipSpec(
                name=f"{label[:2]}{counts[label]:04d}", label=label, source=f"s{source:03d}",
                seed=int(rng.integers(1 << 40)), scene_seed=seed * 1_000_003 + source,
                activity=_activity(rng, label, task), duration_s=duration_s, fps=fps,
                size_wh=size_wh, difficulty=difficulty, task=task,
            )
        )  # fmt: skip
    return plans


def _duration_s(rng: np.random.Generator, task: Scenes) -> float:
    if task == "fight":
        return 2.0 if rng.random() < 0.25 else float(rng.uniform(3.0, 6.0))
    # One window a clip: somebody who fell has fallen in the first, and would only lie there in the next.
    return float(rng.uniform(2.6, 2.95))


def _activity(rng: np.random.Generator, folder: str, task: Scenes) -> str:
    return choose_activity(rng, label=folder) if task == "fight" else choose_scene(rng, folder=folder)


def write_synth_clip(plan: SynthClipSpec, out: Path) -> None:
    """Draw and encode one clip."""
    cv2.setNumThreads(1)
    clip = draw_clip(
        plan.seed, fps=plan.fps, duration_s=plan.duration_s, size_wh=plan.size_wh,
        activity=plan.activity, difficulty=plan.difficulty, scene_seed=plan.scene_seed, scenes=plan.task,
    )  # fmt: skip
    path = plan.path(out)
    with atomic_path(path, per_process=True) as partial:
        encode_video(partial, clip.frames, fps=plan.fps)


def encode_video(path: Path, frames: Image, *, fps: float) -> None:
    """Encode RGB frames (T, H, W, 3) as H.264 in an MP4 file, whatever the suffix of the path."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = frames.shape[2], frames.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "24", "preset": "veryfast", "threads": "1"}
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write_sources(out: Path, plans: list[SynthClipSpec]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["clip", "label", "source"])
    writer.writerows([plan.name, plan.label, plan.source] for plan in plans)
    writer.writerows(_rows_of_others(out / SOURCES_NAME))
    write_atomically(out / SOURCES_NAME, text.getvalue())


def _rows_of_others(path: Path) -> list[list[str]]:
    """The rows of clips that were not drawn by Vigil."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))[1:]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read ({error}); repair it, or name another folder") from error
    return [row for row in rows if row and not DRAWN_NAME.fullmatch(row[0])]
