"""What a server tells its clients of the contracts that its models are served under: `GET /vigil.json`.

The page is answered by `inside/vigil_contracts.py`, out of a file that is written before the start.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vigil.frames import FrameSampling
from vigil.manifest import Contract
from vigil.models.checkpoint import LoraAdapter

CONTRACTS_VARIABLE = "VIGIL_CONTRACTS"
"""Names the file to vLLM's processes."""


def declared_contracts(
    name: str, contract: Contract | None, sampling: FrameSampling, adapters: Sequence[LoraAdapter]
) -> dict[str, Contract | None]:
    """The contract of each name, None where there is none: that of a model or an adapter, as this server reads it."""
    held = {name: contract, **{adapter.name: adapter.contract for adapter in adapters}}
    return {name: replace(one, sampling=sampling) if one else None for name, one in held.items()}


def write_declared_contracts(contracts: Mapping[str, Contract | None], sampling: FrameSampling, folder: Path) -> Path:
    """Writes what the page is made of into `folder` and returns its path; the same contracts give the same file."""
    models = {name: _as_json(one) if one else None for name, one in contracts.items()}
    text = json.dumps({"sampling": sampling.as_json(), "models": models}, ensure_ascii=False, indent=2)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"contracts-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    partial.replace(path)
    return path


def _as_json(contract: Contract) -> dict[str, Any]:
    return asdict(contract) | {"sampling": contract.sampling.as_json()}
