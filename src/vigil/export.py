"""Export: an adapter and its base become one complete model, checked before it gets its name.

LLaMA-Factory merges into `OUT.partial`; the manifest is carried along; the merged model is loaded and its logits
are held against base plus adapter; only then is the folder renamed to OUT. The command is `export.sh [ADAPTER]`.
"""

import hashlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vigil.base_model import base_digest, describe_base
from vigil.environments import CHECKOUT, Environment, environment
from vigil.errors import JobError, ManifestError, UsageError
from vigil.files import check_folder
from vigil.manifest import MANIFEST_NAME, Manifest, read_manifest
from vigil.training.base import check_base
from vigil.training.llamafactory import Job, Stopped

log = logging.getLogger(__name__)

ADAPTER_NAME = "adapter_config.json"
ADAPTER_ROOTS = ("saves", "outputs")
SHARD_GB = 5
CHECK_MEMORY_FACTOR = 2.3
"""The check holds one model at a time in float32: twice the bfloat16 file, and some room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is merged with what, and where to.

    `done` says that it has been merged already, from these very weights, and `checked` that it was checked then.
    """

    adapter: Path
    base: Path
    out: Path
    manifest: Manifest
    done: bool = False
    checked: bool = False

    @property
    def partial(self) -> Path:
        """The folder's name until it is whole and checked."""
        return self.out.with_name(f"{self.out.name}.partial")

    @property
    def log(self) -> Path:
        """LLaMA-Factory's output, kept when the merge fails."""
        return self.out.with_name(f"{self.out.name}.export.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the merged model is from base plus adapter on a fixed window, in float32 (logits, nats)."""

    max_logit_difference: float
    tolerance: float
    rounding: float
    adapter_effect: float
    kl: float
    same_top_token: bool
    p_alarm_adapter: float
    p_alarm_merged: float

    def __str__(self) -> str:
        top = "the same" if self.same_top_token else "another"
        return (
            f"logits differ by at most {self.max_logit_difference:.4g} (tolerance {self.tolerance:.4g}: four times "
            f"what rounding to bfloat16 costs at best, {self.rounding:.4g}; the adapter itself moves them by up to "
            f"{self.adapter_effect:.4g}), KL {self.kl:.2e} nats, {top} top token, "
            f"p(alarm) {self.p_alarm_adapter:.4f} with the adapter and {self.p_alarm_merged:.4f} merged"
        )


def newest_adapter(roots: Iterable[Path]) -> Path:
    """The adapter whose training finished last; raises UsageError when there is none."""
    folders = [path.parent for root in roots for path in root.rglob(ADAPTER_NAME)]
    finished = [folder for folder in folders if (folder / MANIFEST_NAME).exists()]
    if finished:
        return max(finished, key=lambda folder: (folder / MANIFEST_NAME).stat().st_mtime)
    unfinished = f" ({len(folders)} unfinished: go on with scripts/train.sh)" if folders else ""
    where = ", ".join(str(root) for root in roots)
    raise UsageError(
        f"no finished adapter under {where}{unfinished}; train one with scripts/train.sh, or name its folder"
    )


def plan_export(
    adapter: Path | None, *, out: Path | None = None, base: Path | None = None, force: bool = False, check: bool = True
) -> Export:
    """Finds adapter, base and manifest, and looks whether the merge can be done.

    Raises UsageError, ManifestError, EnvironmentMissing or JobError, each saying what to do.
    """
    chosen = adapter or newest_adapter([Path(root) for root in ADAPTER_ROOTS])
    if not (chosen / ADAPTER_NAME).is_file():
        raise UsageError(f"{chosen} is no adapter, it has no {ADAPTER_NAME}")
    manifest = _manifest_of(chosen)
    folder = base or _base_of(chosen, manifest)
    check_base(folder)
    _check_same_base(folder, manifest)
    plan = Export(adapter=chosen, base=folder, out=out or Path("models") / chosen.absolute().name, manifest=manifest)
    merged = {} if force else _merged_already(plan)
    plan = replace(plan, done=bool(merged), checked=bool(merged.get("checked")))
    if not plan.done:
        _check_out(plan, force=force)
        _check_room(plan)
    if check and not plan.checked:
        _check_memory(plan)
    return plan


def export(plan: Export, *, check: bool = True) -> Agreement | None:
    """Merges, checks and names the model; returns how far it is from base plus adapter (None: unchecked or done).

    Raises JobError when the merge or the check fails, or is stopped; then nothing is left under the model's name,
    unless it was there before.
    """
    if plan.done:
        return _check_late(plan) if check and not plan.checked else None
    trainer = environment("train")
    _check_whole_base(plan)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(plan.partial, ignore_errors=True)
    try:
        _merge(plan, trainer)
        agreement = _check_merged(plan, plan.partial, trainer) if check else None
        _carry_manifest(plan, agreement)
        _put_in_place(plan)
    except Stopped as stopped:
        raise JobError(f"the export was stopped; nothing was written to {plan.out}, run it again") from stopped
    finally:
        shutil.rmtree(plan.partial, ignore_errors=True)
    plan.log.unlink(missing_ok=True)
    return agreement


def _manifest_of(adapter: Path) -> Manifest:
    try:
        return read_manifest(adapter, advice="name the folder of an adapter that `vigil train` has finished")
    except ManifestError:
        if (adapter / MANIFEST_NAME).exists() or not adapter.name.startswith("checkpoint-"):
            raise
    return read_manifest(adapter.parent)


def _base_of(adapter: Path, manifest: Manifest) -> Path:
    try:
        named = str(json.loads((adapter / ADAPTER_NAME).read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"{adapter / ADAPTER_NAME} cannot be read ({error}); name the base model with --base"
        ) from error
    candidates = [Path(named), Path(manifest.base_model), CHECKOUT / manifest.base_model]
    return next((folder for folder in candidates if (folder / "config.json").is_file()), Path(manifest.base_model))


def _check_same_base(base: Path, manifest: Manifest) -> None:
    trained_on = manifest.training.get("base_digest")
    if trained_on and trained_on != base_digest(base):
        raise _another_base(base, manifest)


def _check_whole_base(plan: Export) -> None:
    """The quick look of the plan reads the ends of the weights; this reads them whole, unless that is known."""
    trained_on = plan.manifest.base
    if trained_on and trained_on.sha256 and trained_on.sha256 != describe_base(plan.base).sha256:
        raise _another_base(plan.base, plan.manifest)


def _another_base(base: Path, manifest: Manifest) -> JobError:
    return JobError(
        f"the model at {base} is not the one this adapter was trained on ({manifest.base or manifest.base_model}; its "
        "weights have changed since); train again, or name the right one with --base"
    )


def _merged_already(plan: Export) -> dict[str, Any]:
    """What the model that is there says about its merge; empty where it is another one, or none."""
    try:
        merged: dict[str, Any] = read_manifest(plan.out).training.get("merged", {})
    except ManifestError:
        return {}
    return merged if merged.get("adapter_digest") == adapter_digest(plan.adapter) else {}


def adapter_digest(adapter: Path) -> str:
    """Sixteen hex digits that change with the adapter's weights or settings."""
    digest = hashlib.sha256()
    for path in sorted(adapter.glob("adapter_*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _check_out(plan: Export, *, force: bool) -> None:
    check_folder(plan.out, "--out")
    if plan.out.exists() and not force and any(plan.out.iterdir()):
        raise UsageError(f"{plan.out} exists; --force replaces it, --out names another folder")
    if plan.out.exists() and force and not (plan.out / "config.json").exists() and any(plan.out.iterdir()):
        raise UsageError(f"{plan.out} holds no model, so it is not replaced; --out names another folder")


def _weights_bytes(plan: Export) -> int:
    return sum(path.stat().st_size for path in plan.base.glob("*.safetensors"))


def _check_room(plan: Export) -> None:
    weights_bytes = _weights_bytes(plan)
    parent = next(folder for folder in plan.out.absolute().parents if folder.exists())
    free_bytes = shutil.disk_usage(parent).free
    if free_bytes < weights_bytes * 1.1:
        raise JobError(f"the merged model takes {_gb(weights_bytes)}, but {parent} has {_gb(free_bytes)} free")


def _check_memory(plan: Export) -> None:
    needed_bytes = _weights_bytes(plan) * CHECK_MEMORY_FACTOR
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory_bytes < needed_bytes:
        raise JobError(
            f"checking the merged model takes {_gb(needed_bytes)} of memory, this machine has {_gb(memory_bytes)}; "
            "--no-check merges without it"
        )


def _gb(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


def _merge(plan: Export, trainer: Environment) -> None:
    settings = {
        "model_name_or_path": str(plan.base.absolute()),
        "adapter_name_or_path": str(plan.adapter.absolute()),
        "template": plan.manifest.template,
        "export_dir": str(plan.partial.absolute()),
        "export_size": SHARD_GB,
        "export_device": "cpu",
        # Without this a machine without a GPU writes float32.
        "infer_dtype": "bfloat16",
        "trust_remote_code": False,
    }
    plan.partial.mkdir()
    config = plan.partial / "export.yaml"
    config.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    plan.log.unlink(missing_ok=True)
    job = Job(environment=trainer, words=("export", str(config)), log=plan.log, variables={"HF_HUB_OFFLINE": "1"})
    job.run()
    config.unlink()
    if not (plan.partial / "config.json").exists():
        raise JobError(f"LLaMA-Factory ended without an error but wrote no model; its output is in {plan.log}")


def _check_late(plan: Export) -> Agreement:
    """Checks a model that --no-check gave its name; it keeps what was written into its manifest since."""
    agreement = _check_merged(plan, plan.out, environment("train"))
    manifest = read_manifest(plan.out)
    replace(manifest, training=manifest.training | {"merged": _merge_note(plan, agreement)}).write(plan.out)
    return agreement


def _check_merged(plan: Export, model: Path, trainer: Environment) -> Agreement:
    script = Path(__file__).parent / "training_env" / "merge_check.py"
    folders = [str(folder.absolute()) for folder in (plan.base, plan.adapter, model)]
    words = json.dumps(
        {"question": plan.manifest.contract.question}
        | {"words": [plan.manifest.contract.alarm_word, plan.manifest.contract.normal_word]}
    )
    answer = subprocess.run(
        [str(trainer.python), str(script), *folders, words],
        capture_output=True,
        text=True,
        env=trainer.variables() | {"HF_HUB_OFFLINE": "1"},
        check=False,
    )
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        raise JobError(f"the merged model cannot be loaded and run: {last}")
    agreement = Agreement(**json.loads(answer.stdout.splitlines()[-1]))
    if agreement.max_logit_difference > agreement.tolerance:
        raise JobError(f"the merged model is not base plus adapter: {agreement}")
    return agreement


def _carry_manifest(plan: Export, agreement: Agreement | None) -> None:
    merged = _merge_note(plan, agreement)
    replace(plan.manifest, training=plan.manifest.training | {"merged": merged}).write(plan.partial)


def _merge_note(plan: Export, agreement: Agreement | None) -> dict[str, Any]:
    merged: dict[str, Any] = {
        "adapter": plan.adapter.absolute().name,
        "adapter_digest": adapter_digest(plan.adapter),
        "checked": agreement is not None,
    }
    if agreement is not None:
        merged |= {"max_logit_difference": agreement.max_logit_difference, "tolerance": agreement.tolerance}
    return merged


def _put_in_place(plan: Export) -> None:
    for path in plan.partial.iterdir():
        # safetensors writes weights that only their owner can read.
        path.chmod(path.stat().st_mode | 0o444)
    old = plan.out.with_name(f"{plan.out.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if plan.out.exists():
        plan.out.rename(old)
    plan.partial.rename(plan.out)
    shutil.rmtree(old, ignore_errors=True)
