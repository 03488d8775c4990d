"""The training side of a comparison: LLaMA-Factory itself, run on the examples with the settings of a training."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.environments import environment
from vigil.errors import JobError, ManifestError
from vigil.manifest import read_manifest
from vigil.models import family_in
from vigil.parity.examples import Example, entries_in
from vigil.training.config import complete_from_dataset
from vigil.training.data import read_training_data

SCRIPT = Path(__file__).resolve().parents[1] / "training_env" / "trained_prompts.py"
ENTRY = "parity"
TRAINED_KEYS = ("template", "video_fps", "video_maxlen", "video_max_pixels", "video_min_pixels")
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDigest:
    """Processed images: the grid (groups, rows, columns of patches), a digest, and a few sampled values.

    `positions` are those of the video tokens and the token after them (time, height, width), for families whose
    positions count seconds.
    """

    grid_thw: tuple[int, ...]
    digest: str
    probes: tuple[float, ...]
    positions: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def from_record(cls, data: Mapping[str, Any]) -> "PixelDigest":
        """Parses an entry that one of the scripts wrote."""
        return cls(
            grid_thw=tuple(data["grid_thw"]),
            digest=data["pixels"],
            probes=tuple(data["probes"]),
            positions=tuple(tuple(axis) for axis in data.get("positions", ())),
        )

    @property
    def times(self) -> list[int]:
        """The distinct time positions of its frame groups."""
        return sorted(set(self.positions[0][:-1])) if self.positions else []


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPrompt:
    """The prompt of one training example: token ids up to the answer, and images."""

    ids: tuple[int, ...]
    pictures: PixelDigest


async def read_trained_prompts(
    examples: Sequence[Example], *, data: Path, model_dir: Path, work: Path
) -> list[TrainedPrompt]:
    """Runs LLaMA-Factory's loader and collator on the examples.

    `data` is the folder of the whole dataset, whose contract determines the settings; `work` is for temporary files.
    Raises JobError if LLaMA-Factory fails, drops examples or changes their order.
    """
    runtime = environment("train")
    settings = _settings(data, model_dir) | {
        "dataset": ENTRY,
        "dataset_dir": str(work),
        "output_dir": str(work / "out"),
    }
    _write_json(work / f"{ENTRY}.json", [example.data for example in examples])
    columns = {"messages": "messages", "videos": "videos"}
    entry = {"file_name": f"{ENTRY}.json", "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    _write_json(work / "dataset_info.json", {ENTRY: entry})
    request, answer = work / "settings.json", work / "trained.json"
    _write_json(request, {"settings": settings, "positions": family_in(model_dir).counts_seconds})
    await run_in_environment(runtime.program("python"), SCRIPT, request, answer, variables=runtime.variables())
    prompts = json.loads(answer.read_text(encoding="utf-8"))
    _check_order(examples, prompts)
    return [TrainedPrompt(ids=tuple(entry["ids"]), pictures=PixelDigest.from_record(entry)) for entry in prompts]


async def run_in_environment(
    python: Path, script: Path, request: Path, answer: Path, *, variables: Mapping[str, str]
) -> None:
    """Runs a script in another Python environment; raises JobError with its last line on stderr if it fails."""
    child = await asyncio.create_subprocess_exec(
        *map(str, (python, script, request, answer)),
        env=dict(variables) | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, errors = await child.communicate()
    except asyncio.CancelledError:
        child.kill()
        await child.wait()
        raise
    if child.returncode != 0:
        lines = errors.decode(errors="replace").splitlines()
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise JobError(f"{script.name} failed in {python.parent.parent.name}: {last.strip()[:400]}")


def _settings(data: Path, model_dir: Path) -> dict[str, Any]:
    """Returns the settings `vigil train` would use, overridden by those this model was trained with."""
    basic = {
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "model_name_or_path": str(model_dir.absolute()),
        "dataset_dir": str(data.absolute()),
        "overwrite_cache": True,
        "report_to": "none",
    }
    full = complete_from_dataset(
        basic | _trained_settings(model_dir), read_training_data(data, entries_in(data), evaluated=())
    )
    return full | {"media_dir": str(data.absolute())}


def _trained_settings(model_dir: Path) -> dict[str, Any]:
    try:
        recorded = read_manifest(model_dir).training.get("settings", {})
    except ManifestError:
        return {}
    return {key: recorded[key] for key in TRAINED_KEYS if key in recorded}


def _check_order(examples: Sequence[Example], prompts: Sequence[Mapping[str, Any]]) -> None:
    if len(prompts) != len(examples):
        raise JobError(f"LLaMA-Factory took {len(prompts)} of {len(examples)} examples; it dropped the rest as invalid")
    for example, entry in zip(examples, prompts, strict=True):
        if [Path(frame).name for frame in entry["frames"]] != [frame.name for frame in example.frames]:
            raise JobError(f"LLaMA-Factory gave the examples back in another order, first at {example.name}")


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8", errors="backslashreplace")
