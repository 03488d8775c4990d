"""The output folder of a training: decides whether it is new, resumable, finished, or not Vigil's.

`vigil-run.json` is written before the training starts and records its settings. The manifest `vigil.json` is written
last, so a folder that has one holds a finished training.
"""

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from vigil.errors import JobError, UsageError
from vigil.files import write_json
from vigil.manifest import MANIFEST_NAME

RUN_NAME = "vigil-run.json"
CHECKPOINT = re.compile(r"checkpoint-(\d+)")
CHECKPOINT_DONE = "trainer_state.json"
CHECKPOINT_BROKEN = "checkpoint-is-incomplete.txt"
OWN_FILES = (RUN_NAME, "trainer_log.jsonl", "trainer_state.json", "all_results.json", "training_args.bin")
WRITTEN = (
    "vigil*.json*", "train.yaml", "train.log", "train*.json*", "eval*.json*", "all_results.json", "predict*.json*",
    "generated_*.json*", "running_log.txt", "*_args.bin", "*_args.yaml", "training_*.png", "checkpoint-*", "runs",
    "wandb", "swanlog", "mlruns", "trackio", "ray_results", "adapter_*", "model*.safetensors*", "*.index.json",
    "pytorch_model*", "optimizer*", "scheduler*", "rng_state*", "global_step*", "latest", "zero_to_fp32.py",
    "config.json", "generation_config.json", "*processor_config.json", "tokenizer*", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "chat_template*", "README.md", "Modelfile", "*.partial",
)  # fmt: skip
"""Patterns of the files that a training writes; other files in its folder are never deleted."""

# Settings that do not change the result of a training.
HARMLESS = frozenset(
    {"logging_steps", "logging_dir", "run_name", "project", "report_to", "plot_loss", "disable_tqdm", "output_dir",
     "use_swanlab", "swanlab_project", "swanlab_workspace", "swanlab_run_name", "swanlab_mode", "swanlab_logdir",
     "swanlab_api_key", "trackio_space_id", "save_steps", "save_total_limit", "enable_jit_checkpoint",
     "dataloader_num_workers", "preprocessing_num_workers", "overwrite_cache"}
)  # fmt: skip


# Compared by digest, not by path: a checkout or a mount may have moved.
BY_DIGEST = frozenset({"model_name_or_path", "dataset_dir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What a training was started with; `digests` are those of the other files that its settings name, by key."""

    settings: Mapping[str, Any]
    data_digest: str
    base_digest: str
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a training continues in its output folder."""

    finished: bool = False
    checkpoint: Path | None = None

    @property
    def step(self) -> int:
        """The step to resume from; 0 at the beginning."""
        return 0 if self.checkpoint is None else step_of(self.checkpoint)


def prepare_output(folder: Path, run: RunRecord, *, fresh: bool) -> ResumePoint:
    """Prepares the output folder; returns the checkpoint to resume from, or that the training is finished.

    `fresh` deletes an earlier training first. Raises UsageError if the folder holds a training with other settings,
    one that Vigil did not start, or other files.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return ResumePoint()
    if not any((folder / name).exists() for name in OWN_FILES) and not _checkpoints(folder):
        raise UsageError(f"{folder} holds files that do not belong to a training; name another output_dir")
    if not (folder / RUN_NAME).exists():
        raise UsageError(
            f"{folder} holds a training that Vigil did not start (no {RUN_NAME}), and it stays as it is; name another "
            "output_dir"
        )
    if fresh:
        clear_output(folder)
        return ResumePoint()
    differences = _differences(_read_run(folder), run)
    if differences and (folder / MANIFEST_NAME).exists():
        raise UsageError(
            f"{folder} holds a finished training with other settings ({'; '.join(differences[:5])}); to train its "
            f"adapter on, name it and another place: {_shell_setting('adapter_name_or_path', folder)} "
            f"{_shell_setting('output_dir', folder.with_name(f'{folder.name}-2'))}. --fresh deletes the finished one"
        )
    if differences:
        raise UsageError(
            f"{folder} holds a training with other settings ({'; '.join(differences[:5])}); name another "
            "output_dir, use the old settings to resume, or --fresh to delete the old one"
        )
    if (folder / MANIFEST_NAME).exists():
        return ResumePoint(finished=True)
    checkpoint = last_checkpoint(folder)
    if checkpoint is not None:
        _relocate_best_checkpoint(checkpoint)
    return ResumePoint(checkpoint=checkpoint)


def _shell_setting(key: str, folder: Path) -> str:
    """A setting quoted for the shell, with the folder relative to the working directory if it is below it."""
    relative = folder.absolute().relative_to(Path.cwd()) if folder.absolute().is_relative_to(Path.cwd()) else folder
    return shlex.quote(f"{key}={relative}")


@contextlib.contextmanager
def lock_output(folder: Path) -> Iterator[int]:
    """Locks the output folder while a training writes into it; raises JobError if another training holds the lock.

    Yields the descriptor of the lock: a trainer that inherits it keeps the lock even if it outlives this process.
    """
    handle = _opened(folder)
    try:
        _lock(handle, folder)
        yield handle
    finally:
        os.close(handle)


def _opened(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UsageError(
            f"output_dir {folder} cannot be used for a training ({error.strerror}); name another"
        ) from error


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JobError(_claimed(folder)) from error


def _claimed(folder: Path) -> str:
    holders = _holders(folder)
    which = f" (process {holders[0]}; `kill {holders[0]}` ends it)" if holders else ""
    return f"another training is writing into {folder}{which}; wait for it, or name another output_dir"


def _holders(folder: Path) -> list[int]:
    """The other processes that have the folder open, sorted by pid, as far as /proc shows them."""
    found = (_open_in(process, folder.resolve()) for process in Path("/proc").glob("[0-9]*"))
    return sorted(pid for pid in found if pid is not None and pid != os.getpid())


def _open_in(process: Path, folder: Path) -> int | None:
    with contextlib.suppress(OSError):
        if any(file.readlink() == folder for file in (process / "fd").iterdir()):
            return int(process.name)
    return None


def clear_output(folder: Path) -> None:
    """Deletes the files of a training, the manifest first, so that a partly deleted one does not look finished.

    Files that no training writes are kept.
    """
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    written = [path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in WRITTEN)]
    for path in sorted(written, key=lambda path: path.name == RUN_NAME):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_run_record(folder: Path, run: RunRecord) -> None:
    """Records what the training is started with in `vigil-run.json`."""
    data = {
        "settings": dict(run.settings),
        "data_digest": run.data_digest,
        "base_digest": run.base_digest,
        "digests": dict(run.digests),
    }
    write_json(folder / RUN_NAME, data)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, or None; checkpoints that were not fully written are ignored."""
    return max(_checkpoints(folder), key=step_of, default=None)


def _relocate_best_checkpoint(checkpoint: Path) -> None:
    """Corrects the path of the best checkpoint after the folder moved; the trainer silently ignores a wrong path."""
    path = checkpoint / CHECKPOINT_DONE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        named = state.get("best_model_checkpoint")
    except (OSError, ValueError, AttributeError) as error:
        raise JobError(
            f"{path} is damaged ({error}); remove {checkpoint} to resume from the one before, or --fresh to start again"
        ) from error
    if not isinstance(named, str):
        return
    here = str(checkpoint.parent / Path(named).name)
    if here == named:
        return
    state["best_model_checkpoint"] = here
    write_json(path, state)


def _checkpoints(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.glob("checkpoint-*")
        if CHECKPOINT.fullmatch(path.name)
        and (path / CHECKPOINT_DONE).exists()
        and not (path / CHECKPOINT_BROKEN).exists()
    ]


def step_of(checkpoint: Path) -> int:
    """The step of a checkpoint, from its name; -1 if it has none."""
    match = CHECKPOINT.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def _read_run(folder: Path) -> RunRecord:
    try:
        data = json.loads((folder / RUN_NAME).read_text(encoding="utf-8"))
        return RunRecord(
            settings=data["settings"],
            data_digest=data["data_digest"],
            base_digest=data["base_digest"],
            digests=data.get("digests", {}),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{folder} holds a training, but its {RUN_NAME} cannot be read ({error}), so its settings are "
            "unknown; name another output_dir, or --fresh to delete it"
        ) from error


def _differences(before: RunRecord, now: RunRecord) -> list[str]:
    digested = before.digests.keys() & now.digests.keys()
    keys = sorted((before.settings.keys() | now.settings.keys()) - HARMLESS - BY_DIGEST - digested)
    differences = list(_changed(_comparable(before.settings), _comparable(now.settings), keys))
    differences += [
        f"what {key} names has changed" for key in sorted(digested) if before.digests[key] != now.digests[key]
    ]
    if before.data_digest != now.data_digest:
        differences.append("the dataset has changed")
    if before.base_digest != now.base_digest:
        differences.append("the base model has changed")
    return differences


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with `media_dir` relative to the dataset: the dataset's digest already covers the frames."""
    media, data = settings.get("media_dir"), settings.get("dataset_dir")
    return dict(settings) | ({"media_dir": os.path.relpath(media, data)} if media and data else {})


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], keys: list[str]) -> Iterator[str]:
    for key in keys:
        if before.get(key) != now.get(key):
            yield f"{key} was {before.get(key, 'not set')}, is {now.get(key, 'not set')}"
