"""Merges an adapter into its base model and checks the result before it replaces anything. Command: `export.sh`.

LLaMA-Factory merges into `OUT.partial`; every weight is compared with base plus adapter, and the manifest is added.
Only then is the folder renamed to OUT, and the model run once if there is enough memory.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vigil.environments import CHECKOUT, Environment, environment
from vigil.errors import JobError, ManifestError, UsageError
from vigil.file_names import beside
from vigil.files import PARTIAL, move_into_place, require_writable_folder
from vigil.manifest import MANIFEST_NAME, Manifest, read_manifest
from vigil.models import family_named
from vigil.models.base_model import base_digest, check_checkpoint, describe_base
from vigil.models.lora_adapter import AdapterWeights, read_adapter_weights
from vigil.models.lora_compatibility import why_misfit, why_unmergeable, why_unprovable, why_unservable
from vigil.models.merge_capacity import check_disk, check_memory, gigabytes, weights_bytes
from vigil.models.merge_check import MergeReport, compare_merge, read_tensors, ties_embeddings, untie
from vigil.models.smoke_test import SmokeTest, smoke_test
from vigil.training.llamafactory import LlamaFactoryProcess, TrainingStopped, plain_adapter

log = logging.getLogger(__name__)

ADAPTER_NAME = "adapter_config.json"
CONFIG_NAME = "export.yaml"
"""LLaMA-Factory's settings file; it stays in an unfinished model, which is thereby recognised as Vigil's."""

ADAPTER_ROOTS = ("saves", "outputs")
SHARD_GB = 5
QUIET = {"HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of LLaMA-Factory: no access to the model hub, and no busy-waiting threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """The adapter, base and output folder of one merge.

    `done`: `out` already holds a merge of exactly these adapter weights. `checked`: that merge was found correct.
    `unservable`: the reasons why vLLM cannot serve the adapter unmerged.
    """

    adapter: Path
    base: Path
    out: Path
    manifest: Manifest
    done: bool = False
    checked: bool = False
    unservable: tuple[str, ...] = ()

    @property
    def partial(self) -> Path:
        """The output folder's name until it is complete and checked."""
        return beside(self.out, PARTIAL)

    @property
    def old(self) -> Path:
        """The name of the previous model while it is being replaced."""
        return beside(self.out, ".old")

    @property
    def log(self) -> Path:
        """LLaMA-Factory's output; kept if the merge fails."""
        return beside(self.out, ".export.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The checks of a merged model: its weights against base plus adapter, and whether it runs."""

    weights: MergeReport
    smoke: SmokeTest


def newest_adapter(roots: Iterable[Path]) -> Path:
    """Returns the folder of the adapter whose training finished last; raises UsageError if there is none."""
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
) -> ExportPlan:
    """Finds adapter, base and manifest, and checks whether they can be merged.

    Raises UsageError, ManifestError, EnvironmentMissing or JobError; each message says what to do.
    """
    chosen = adapter or newest_adapter([Path(root) for root in ADAPTER_ROOTS])
    if not chosen.is_dir():
        raise UsageError(f"there is no folder {chosen}; name the folder of an adapter, or none for the newest")
    if not (chosen / ADAPTER_NAME).is_file():
        raise UsageError(f"{chosen} is not an adapter: it has no {ADAPTER_NAME}")
    manifest = _manifest_of(chosen)
    folder = base or _base_of(chosen, manifest)
    check_checkpoint(folder)
    _check_same_base(folder, manifest)
    lora = read_adapter_weights(chosen)
    _check_adapter(lora, folder, check=check)
    plan = ExportPlan(
        adapter=chosen,
        base=folder,
        out=out or Path("models") / chosen.absolute().name,
        manifest=manifest,
        unservable=tuple(why_unservable(lora)),
    )
    merged = {} if force else _merged_already(plan)
    plan = replace(plan, done=bool(merged), checked=_was_checked(merged))
    if not plan.done:
        _check_out(plan, force=force)
        check_disk(plan.base, plan.out)
        check_memory(plan.base)
    return plan


def export_model(plan: ExportPlan, *, check: bool = True) -> Checked | None:
    """Merges, checks and renames the model; returns the checks, or None if none was requested or needed.

    Raises JobError if the merge or the check of its weights fails or is stopped; the output folder is then as before.
    Also raises JobError if the weights are correct but the model does not run; the model then stays in place.
    """
    if plan.done:
        return _check_late(plan) if check and not plan.checked else None
    trainer = environment("train")
    _check_whole_base(plan)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(plan.partial, ignore_errors=True)
    try:
        _merge(plan, trainer)
        untie(plan.partial)
        weights = _compare(plan, plan.partial) if check else None
        _carry_manifest(plan, weights)
        _put_in_place(plan)
    except TrainingStopped as stopped:
        raise JobError(f"the export was stopped; nothing was written to {plan.out}, run it again") from stopped
    finally:
        shutil.rmtree(plan.partial, ignore_errors=True)
    plan.log.unlink(missing_ok=True)
    return None if weights is None else _run_once(plan, weights, trainer)


def _check_adapter(adapter: AdapterWeights, base: Path, *, check: bool) -> None:
    tied = ties_embeddings(base)
    wrong = why_misfit(adapter, read_tensors(base), tied=tied)
    if wrong:
        raise UsageError(f"{adapter.path} does not fit {base}: it {wrong}; name the right base with --base")
    reasons = why_unmergeable(adapter, tied=tied)
    if reasons:
        raise UsageError(f"{adapter.path} cannot be merged: {'; '.join(reasons)}; train it without that")
    reasons = why_unprovable(adapter) if check else []
    if reasons:
        raise UsageError(
            f"nobody could say whether a merge of {adapter.path} is right: {'; '.join(reasons)}; train it without "
            "that, or merge it unchecked with --no-check"
        )


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


def _check_whole_base(plan: ExportPlan) -> None:
    """Compares the digest of all base weights; `_check_same_base` compares only a digest of their ends."""
    trained_on = plan.manifest.base
    if trained_on and trained_on.sha256 and trained_on.sha256 != describe_base(plan.base).sha256:
        raise _another_base(plan.base, plan.manifest)


def _another_base(base: Path, manifest: Manifest) -> JobError:
    return JobError(
        f"the model at {base} is not the one this adapter was trained on ({manifest.base or manifest.base_model}; its "
        "weights have changed since); train again, or name the right one with --base"
    )


def _merged_already(plan: ExportPlan) -> dict[str, Any]:
    """Returns the merge record of the existing output; empty if there is none or it is of another adapter."""
    try:
        merged: dict[str, Any] = read_manifest(plan.out).training.get("merged", {})
    except ManifestError:
        return {}
    return merged if merged.get("adapter_digest") == adapter_digest(plan.adapter) else {}


def _was_checked(merged: dict[str, Any]) -> bool:
    """Returns whether every weight was compared (older versions did not) and the model did not fail to run."""
    return bool(merged.get("checked")) and "tensors" in merged and merged.get("smoke", {}).get("outcome") != "failed"


def adapter_digest(adapter: Path) -> str:
    """Returns a digest (16 hex digits) of the adapter's weights and settings."""
    digest = hashlib.sha256()
    for path in sorted(adapter.glob("adapter_*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _check_out(plan: ExportPlan, *, force: bool) -> None:
    require_writable_folder(plan.out, "--out")
    if plan.out.exists() and not force and any(plan.out.iterdir()):
        raise UsageError(f"{plan.out} exists; --force replaces it, --out names another folder")
    if plan.out.exists() and force and not (plan.out / "config.json").exists() and any(plan.out.iterdir()):
        raise UsageError(f"{plan.out} holds no model, so it is not replaced; --out names another folder")
    foreign = [
        folder
        for folder, sign in ((plan.out, MANIFEST_NAME), (plan.old, MANIFEST_NAME), (plan.partial, CONFIG_NAME))
        if folder.exists() and not (folder / sign).is_file() and any(folder.iterdir())
    ]
    if foreign:
        raise UsageError(
            f"{foreign[0]} was not written by an export of Vigil, and stays as it is; --out names another folder"
        )


def _merge(plan: ExportPlan, trainer: Environment) -> None:
    settings = {
        "model_name_or_path": str(plan.base.absolute()),
        "adapter_name_or_path": str(plan.adapter.absolute()),
        "template": plan.manifest.template,
        "export_dir": str(plan.partial.absolute()),
        "export_size": SHARD_GB,
        "export_device": "cpu",
        # Otherwise a machine without a GPU writes float32.
        "infer_dtype": "bfloat16",
        "trust_remote_code": False,
    }
    plan.partial.mkdir()
    config = plan.partial / CONFIG_NAME
    plan.log.unlink(missing_ok=True)
    job = LlamaFactoryProcess(environment=trainer, arguments=("export", str(config)), log=plan.log, variables=QUIET)
    with plain_adapter(settings) as plain:
        config.write_text(yaml.safe_dump(plain, allow_unicode=True), encoding="utf-8", errors="backslashreplace")
        job.run()
    if not (plan.partial / "config.json").exists():
        raise JobError(f"LLaMA-Factory ended without an error but wrote no model; its output is in {plan.log}")


def _compare(plan: ExportPlan, model: Path) -> MergeReport:
    log.info("comparing every weight with base plus adapter (%s)", gigabytes(weights_bytes(plan.base)))
    return compare_merge(plan.base, read_adapter_weights(plan.adapter), model)


def _check_late(plan: ExportPlan) -> Checked:
    """Checks a model exported with --no-check; later additions to its manifest are kept."""
    weights = _compare(plan, plan.out)
    _note(plan, _merge_note(plan, weights))
    return _run_once(plan, weights, environment("train"))


def _run_once(plan: ExportPlan, weights: MergeReport, trainer: Environment) -> Checked:
    """Runs a finished model once and records the outcome; the model stays even if this raises JobError."""
    smoke = smoke_test(plan.out, plan.manifest.contract, family_named(plan.manifest.family), trainer)
    _note(plan, _merge_note(plan, weights) | {"smoke": asdict(smoke)})
    if smoke.outcome == "failed":
        raise JobError(
            f"{plan.out} is base plus adapter ({weights.tensors} tensors compared) and stays, but it does not run: "
            f"{smoke.words}; look at the base's files and its training"
        )
    return Checked(weights=weights, smoke=smoke)


def _note(plan: ExportPlan, merged: dict[str, Any]) -> None:
    manifest = read_manifest(plan.out)
    replace(manifest, training=manifest.training | {"merged": merged}).write(plan.out)


def _carry_manifest(plan: ExportPlan, weights: MergeReport | None) -> None:
    merged = _merge_note(plan, weights)
    replace(plan.manifest, training=plan.manifest.training | {"merged": merged}).write(plan.partial)


def _merge_note(plan: ExportPlan, weights: MergeReport | None) -> dict[str, Any]:
    merged: dict[str, Any] = {
        "adapter": plan.adapter.absolute().name,
        "adapter_digest": adapter_digest(plan.adapter),
        "checked": weights is not None,
    }
    return merged if weights is None else merged | asdict(weights)


def _put_in_place(plan: ExportPlan) -> None:
    (plan.partial / CONFIG_NAME).unlink(missing_ok=True)
    for path in plan.partial.iterdir():
        # safetensors creates files that only their owner can read.
        path.chmod(path.stat().st_mode | 0o444)
    shutil.rmtree(plan.old, ignore_errors=True)
    if plan.out.exists():
        plan.out.rename(plan.old)
    move_into_place(plan.partial, plan.out)
    shutil.rmtree(plan.old, ignore_errors=True)
