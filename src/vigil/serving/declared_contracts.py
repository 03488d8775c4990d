"""The contracts that a server declares to its clients at `GET /vigil.json`.

The route is served by `serving_env/vigil_contracts.py` from a file that is written before the server starts.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vigil.files import write_atomically
from vigil.frames import FrameSampling
from vigil.manifest import Contract
from vigil.models.checkpoint import LoraAdapter

CONTRACTS_VARIABLE = "VIGIL_CONTRACTS"
"""The environment variable that passes the file's path to vLLM's processes."""


def declared_contracts(
    name: str, contract: Contract | None, sampling: FrameSampling, adapters: Sequence[LoraAdapter]
) -> dict[str, Contract | None]:
    """Returns the contract of the model and of each adapter by name (None without one), with the server's sampling."""
    contracts = {name: contract, **{adapter.name: adapter.contract for adapter in adapters}}
    return {name: replace(one, sampling=sampling) if one else None for name, one in contracts.items()}


def write_declared_contracts(contracts: Mapping[str, Contract | None], sampling: FrameSampling, folder: Path) -> Path:
    """Writes the contracts file into `folder` and returns its path, which depends only on the contracts."""
    models = {name: one.as_json() if one else None for name, one in contracts.items()}
    text = json.dumps({"sampling": sampling.as_json(), "models": models}, ensure_ascii=False, indent=2)
    path = folder / f"contracts-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_atomically(path, text + "\n")
    return path
