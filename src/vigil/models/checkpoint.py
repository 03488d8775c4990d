"""Checks a model folder and its LoRA adapters before vLLM serves them, and reads their sizes and contracts."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vigil.errors import EnvironmentMissing, ManifestError, UsageError
from vigil.manifest import MANIFEST_NAME, Contract, Manifest, read_manifest
from vigil.models import ModelFamily, family_of
from vigil.models.base_model import base_digest, recorded_sha256
from vigil.models.lora_adapter import CONFIG_NAME
from vigil.models.lora_adapter import read_adapter_weights as read_lora
from vigil.models.lora_compatibility import why_misfit, why_unservable
from vigil.models.merge_check import read_tensors, ties_embeddings
from vigil.models.weight_files import incomplete, safetensors_damage, untrusted

LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values vLLM accepts for the maximum LoRA rank."""

NAME = re.compile(r"[\w.:@/+-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraAdapter:
    """A LoRA adapter to be served beside its base, under its own name."""

    name: str
    path: Path
    rank: int
    contract: Contract | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A folder with a complete model; `max_positions` and `kv_bytes_per_token` are 0 if config.json lacks them."""

    path: Path
    family: ModelFamily
    contract: Contract | None
    max_positions: int
    kv_bytes_per_token: int


def read_checkpoint(path: Path, *, tokenizer: bool = True, own_code: bool = False) -> Checkpoint:
    """Reads and checks a model folder; raises UsageError or ManifestError if it cannot be served.

    `tokenizer`: the folder must contain one. `own_code`: the user allows running code from the folder.
    """
    if not path.is_dir():
        raise UsageError(
            f"there is no model folder {path}; name the folder first, then the flags "
            "(scripts/download_model.sh fetches one, export.sh makes one)"
        )
    if (path / CONFIG_NAME).is_file() and not (path / "config.json").is_file():
        raise UsageError(
            f"{path} is a LoRA adapter, not a model: merge it with ./export.sh {path}, or serve its base with "
            f"./vllm.sh BASE_DIR --lora {path.name}={path}"
        )
    config = _read_json(path / "config.json", where=path)
    text = _text_config(config)
    _refuse(path, untrusted(path, own_code=own_code))
    if not any(path.glob("*.safetensors")):
        raise UsageError(f"{path} holds no weights (*.safetensors); was the download or the export complete?")
    _check_weights(path)
    _refuse(path, incomplete(path, tokenizer=tokenizer))
    return Checkpoint(
        path=path,
        family=family_of(config, where=str(path)),
        contract=contract_beside(path),
        max_positions=int(text.get("max_position_embeddings", 0)),
        kv_bytes_per_token=_kv_bytes(text),
    )


def read_lora_adapter(argument: str, base: Path, *, with_tower: bool = False) -> LoraAdapter:
    """Reads the adapter given as `NAME=PATH` (or as a path, named after its folder) and checks it against its base.

    `with_tower`: vLLM is set to serve trained vision towers. Raises UsageError if vLLM would refuse the adapter or
    ignore a part of it.
    """
    name, equals, place = ("", "", argument) if Path(argument).is_dir() else argument.partition("=")
    path = Path(place if equals else argument)
    name = name if equals else path.resolve().name
    if not NAME.fullmatch(name):
        raise UsageError(f"--lora takes NAME=PATH, not {argument!r}")
    adapter = read_lora(path)
    reasons = why_unservable(adapter, with_tower=with_tower)
    if reasons:
        raise UsageError(
            f"vLLM does not serve {path} as it is: {'; '.join(reasons)}. Merge it with ./export.sh {path} and serve "
            "the model that comes of it"
        )
    wrong = why_misfit(adapter, read_tensors(base), tied=ties_embeddings(base))
    if wrong:
        raise UsageError(f"{path} does not fit {base}: it {wrong}; serve the base that it was trained on")
    return LoraAdapter(name=name, path=path, rank=adapter.rank, contract=contract_beside(path))


def contract_beside(path: Path) -> Contract | None:
    """Returns the contract in a model folder; None if it has no manifest."""
    return read_manifest(path).contract if (path / MANIFEST_NAME).is_file() else None


def common_contract(model: Checkpoint, adapters: Sequence[LoraAdapter]) -> Contract | None:
    """Returns the model's contract, else that of its last adapter, else None.

    Raises ManifestError if two samplings differ: a server has one set of image settings, so it cannot serve both.
    """
    contracts = [(str(model.path), model.contract), *((a.name, a.contract) for a in adapters)]
    declared = [(name, contract) for name, contract in contracts if contract is not None]
    for name, contract in declared[1:]:
        if contract.sampling != declared[0][1].sampling:
            differences = "; ".join(contract.differences(declared[0][1].alias))
            raise ManifestError(
                f"{declared[0][0]} and {name} were trained on pictures cut differently ({differences}, taking the "
                "first for the server); serve them by two servers"
            )
    return model.contract or (declared[-1][1] if declared else None)


def base_warnings(model: Checkpoint, adapters: Sequence[LoraAdapter]) -> list[str]:
    """Returns one sentence for each adapter that was trained on another base than the one it is served on."""
    manifests = [(a, read_manifest(a.path)) for a in adapters if (a.path / MANIFEST_NAME).is_file()]
    return [
        f"{adapter.name} was trained on {manifest.base or manifest.base_model}, and {model.path} is another model or "
        "has changed since: its answers may not be what was scored; serve it on its own base, or train again"
        for adapter, manifest in manifests
        if _is_another(model.path, manifest)
    ]


def _is_another(base: Path, manifest: Manifest) -> bool:
    ends, whole = manifest.training.get("base_digest"), manifest.base.sha256 if manifest.base else ""
    try:
        if ends and ends != base_digest(base):
            return True
        recorded = recorded_sha256(base)
    except (OSError, EnvironmentMissing):
        return True  # training would not accept it as a base
    return bool(whole and recorded and whole != recorded)


def common_lora_rank(adapters: Sequence[LoraAdapter]) -> int:
    """Returns the smallest of vLLM's ranks that fits every adapter; raises UsageError if there is none."""
    needed = max((adapter.rank for adapter in adapters), default=LORA_RANKS[0])
    fitting = next((rank for rank in LORA_RANKS if rank >= needed), None)
    if fitting is None:
        raise UsageError(
            f"an adapter of rank {needed} is more than vLLM serves ({LORA_RANKS[-1]}); merge it by export.sh"
        )
    return fitting


def _refuse(path: Path, why: str) -> None:
    if why:
        raise UsageError(f"{path} {why}")


def _check_weights(path: Path) -> None:
    for file in sorted(path.glob("*.safetensors")):
        damaged = safetensors_damage(file)
        if damaged is not None:
            raise UsageError(f"the weights are damaged: {file} {damaged}; download or export them again")


def _read_json(path: Path, *, where: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{where} is no model folder: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return data if isinstance(data, dict) else {}


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def _kv_bytes(text: dict[str, Any]) -> int:
    """Returns the bytes of one token in a 16-bit key/value cache."""
    heads = int(text.get("num_attention_heads", 0))
    kv_heads = int(text.get("num_key_value_heads") or heads)
    head_dim = int(text.get("head_dim") or int(text.get("hidden_size", 0)) // max(1, heads))
    return int(text.get("num_hidden_layers", 0)) * 2 * kv_heads * head_dim * 2
