"""What models are scored on: the clips, and the contract under which they are shown.

A built dataset brings its contract along. Video files are cut as the model's manifest says, else as the
served model tells, else as the defaults are.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.judge.contract import served_sampling, task_of
from vigil.manifest import MODEL_DIR_ADVICE, Calibration, Manifest, read_manifest
from vigil.score.items import EvalClip, EvalSplit, dataset_clips
from vigil.score.videos import video_clips
from vigil.tasks import Task, load_question


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    """Clips, how they are shown, what is asked, and how the model is calibrated."""

    clips: Sequence[EvalClip]
    task: Task
    sampling: FrameSampling
    calibration: Calibration | None = None

    def drawn(self, limit: int | None) -> "EvalSet":
        """At most `limit` of the clips, the same ones each time."""
        if limit is None or limit >= len(self.clips):
            return self
        chosen = sorted(random.Random(0).sample(range(len(self.clips)), limit))
        return replace(self, clips=[self.clips[number] for number in chosen])


def load_eval_set(
    paths: Sequence[Path],
    *,
    endpoint: Endpoint,
    data: Path | None = None,
    split: EvalSplit = "test",
    task: str | None = None,
    model_dir: Path | None = None,
    max_pixels: int | None = None,
) -> EvalSet:
    """The clips of a dataset or of video files; raises UsageError when neither or both are named.

    With `model_dir` the model's own contract and calibration are used.
    """
    if (data is None) == (not paths):
        raise UsageError("name clips to score, or a dataset with --data DIR, and not both")
    manifest = None if model_dir is None else read_manifest(model_dir, advice=MODEL_DIR_ADVICE)
    calibration = None if manifest is None else manifest.calibration
    named = None if task is None else load_question(task)
    if data is not None:
        clips = dataset_clips(data, split)
        contract = read_manifest(data, advice=f"make it with: vigil dataset build CLIPS --out {data}").contract
        asked, sampling = named or task_of(contract), contract.sampling
    else:
        asked = named or (load_question("fight") if manifest is None else task_of(manifest.contract))
        sampling = _sampling(manifest, max_pixels, endpoint)
        clips = video_clips(paths, asked, sampling)
    return EvalSet(clips=clips, task=asked, sampling=sampling, calibration=calibration)


def _sampling(manifest: Manifest | None, max_pixels: int | None, endpoint: Endpoint) -> FrameSampling:
    if manifest is not None:
        sampling = manifest.contract.sampling
    else:
        sampling = asyncio.run(served_sampling(endpoint)) or FrameSampling()
    return sampling if max_pixels is None else replace(sampling, max_pixels=max_pixels)
