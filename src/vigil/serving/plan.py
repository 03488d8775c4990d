"""Decides what to serve: reads the model and its adapters, and takes the contract from the manifest or the user."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vigil.errors import ManifestError, UsageError
from vigil.frames import FrameSampling
from vigil.manifest import ALIAS_PREFIX, MANIFEST_NAME, Contract
from vigil.models.chat_template import served_template
from vigil.models.checkpoint import NAME, Checkpoint, base_warnings, common_contract, read_checkpoint, read_lora_adapter
from vigil.questions import Question
from vigil.serving.command import ServePlan
from vigil.serving.declared_contracts import declared_contracts, write_declared_contracts
from vigil.serving.settings import ServeSettings
from vigil.serving.vllm_flags import flags_of, given_flags, given_value, means, switched_on

log = logging.getLogger(__name__)

TOWER_FLAG = "--enable-tower-connector-lora"
"""vLLM's flag for serving trained vision towers; experimental in 0.32."""

OWN_CODE_FLAG = "--trust-remote-code"
FORMAT_FLAG = "--load-format"
PICKLED_FORMATS = ("pt", "npcache")
"""vLLM's load formats for *.pt and *.bin weights, whatever other files there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractOverrides:
    """The task and sampling given by the user; values that are None come from the manifest, else from the defaults.

    `no_manifest` ignores the model's contract.
    """

    task: Question | None = None
    fps: float | None = None
    frames: int | None = None
    overlap: float | None = None
    max_pixels: int | None = None
    jpeg_quality: int | None = None
    no_manifest: bool = False

    @classmethod
    def of(cls, task: Question | None, sampling: FrameSampling | None) -> "ContractOverrides":
        """Returns overrides for a task and a complete sampling, for use from Python."""
        if sampling is None:
            return cls(task=task)
        s = sampling
        return cls(
            task=task,
            fps=s.fps,
            frames=s.frames,
            overlap=s.overlap,
            max_pixels=s.max_pixels,
            jpeg_quality=s.jpeg_quality,
        )

    def over(self, sampling: FrameSampling) -> FrameSampling:
        """Returns the sampling with the user's values applied."""
        names = ("fps", "frames", "overlap", "max_pixels", "jpeg_quality")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(sampling, **given)


def plan_server(
    model_dir: Path,
    *,
    settings: ServeSettings,
    overrides: ContractOverrides | None = None,
    name: str = "",
    adapters: Sequence[str] = (),
    templates: Path,
    alias: bool = False,
    extra: Sequence[str] = (),
) -> ServePlan:
    """Reads and checks the folders and returns the plan; chat template and contracts are written to `templates`.

    With `alias` each contract is also listed as a model, for older clients. Raises UsageError if something cannot be
    served, ManifestError if the contract is unknown or two contracts contradict each other.
    """
    overrides = overrides or ContractOverrides()
    given = given_flags(extra)
    _check_format(extra, settings)
    own_code = switched_on(OWN_CODE_FLAG, extra, {})
    model = read_checkpoint(model_dir, tokenizer="--tokenizer" not in given, own_code=own_code)
    if adapters and not model.family.supports_runtime_lora:
        raise UsageError(
            f"vLLM serves no adapters beside a {model.family.title}; merge it with ./export.sh ADAPTER and serve the "
            "model that comes of it"
        )
    with_tower = switched_on(TOWER_FLAG, extra, settings.vllm)
    read = tuple(read_lora_adapter(argument, model_dir, with_tower=with_tower) for argument in adapters)
    name = name or model_dir.resolve().name
    _check_names([name, *(adapter.name for adapter in read)])
    for warning in base_warnings(model, read):
        log.warning(warning)
    usual = overrides.over(FrameSampling(**model.family.grid))
    contract = _contract(common_contract(model, read), overrides, model_dir, usual)
    sampling = contract.sampling if contract else usual
    _check_grid(model, sampling)
    contracts = declared_contracts(name, contract, sampling, read)
    return ServePlan(
        model=model,
        name=name,
        contract=contract,
        sampling=sampling,
        settings=settings,
        adapters=read,
        template=None if "--chat-template" in given else served_template(model_dir, model.family, templates),
        contracts=write_declared_contracts(contracts, sampling, templates),
        alias=alias,
        extra=tuple(extra),
    )


def _check_format(extra: Sequence[str], settings: ServeSettings) -> None:
    flags = [flag for flag in given_flags(extra) if means(FORMAT_FLAG, [flag])]
    values = [given_value(extra, flag) for flag in flags] or flags_of(settings.vllm).get(FORMAT_FLAG, ())
    pickled = next((value for value in values if value.lower() in PICKLED_FORMATS), None)
    if pickled is not None:
        raise UsageError(
            f"{FORMAT_FLAG} {pickled} loads *.bin or *.pt, which can run code when they are loaded; leave it out, and "
            "*.safetensors are taken"
        )


def _check_grid(model: Checkpoint, sampling: FrameSampling) -> None:
    """Raises ManifestError if the model's processor would resize or pad the contract's frames."""
    if not model.family.reads(sampling):
        raise ManifestError(
            f"{model.path} is of {model.family.title}, which reads frames in multiples of "
            f"{model.family.pixel_multiple} px in groups of {model.family.frames_per_group}, and its contract says "
            f"{sampling.pixel_multiple} px and {sampling.frames_per_group}; serve it with the {MANIFEST_NAME} that it "
            "was trained under"
        )


def _contract(
    recorded: Contract | None, overrides: ContractOverrides, model_dir: Path, usual: FrameSampling
) -> Contract | None:
    if recorded is not None and not overrides.no_manifest:
        _check_against(recorded, overrides, model_dir)
        return recorded
    if overrides.task is not None:
        return Contract.of(overrides.task, usual)
    if overrides.no_manifest:
        return None
    raise ManifestError(
        f"{model_dir} has no {MANIFEST_NAME}, so how its frames were cut is unknown; a model that Vigil trained "
        "has one (scripts/train.sh, export.sh). For any other model name the task, and what differs from the defaults: "
        "--task fight [--fps 2 --frames 6 --max-pixels 131072]; or --no-manifest to serve it without a contract"
    )


def _check_against(recorded: Contract, overrides: ContractOverrides, model_dir: Path) -> None:
    sampling = overrides.over(recorded.sampling)
    contract = replace(recorded, sampling=sampling) if overrides.task is None else Contract.of(overrides.task, sampling)
    differences = contract.differences(recorded.alias)
    if differences:
        raise ManifestError(
            f"{model_dir} was trained otherwise: {'; '.join(differences)} (as its {MANIFEST_NAME} says). Leave that "
            "option out, or add --no-manifest to serve it against its contract"
        )


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name) or name.startswith(ALIAS_PREFIX):
            raise UsageError(
                f"{name!r} cannot be a model's name; give another with --served-model-name or --lora NAME=PATH"
            )
    if len(set(names)) < len(names):
        raise UsageError(f"the model and its adapters need different names, not {', '.join(names)}")
