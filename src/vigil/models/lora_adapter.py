"""Reads a LoRA adapter saved by peft: its settings, and what it changes in which tensor of its base.

peft names a module by its own wrapper and by the classes of the transformers release that trained it
(`base_model.model.model.language_model.layers.0.mlp.up_proj`); a checkpoint may use another name
(`model.layers.0.mlp.up_proj`). Both are reduced to a plain name (`layers.0.mlp.up_proj`), unique within a model.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vigil.errors import JobError, UsageError
from vigil.models.weight_files import Tensor, safetensors_damage, tensors_in

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
WRAPPERS = frozenset({"base_model", "model", "language_model", "thinker"})
"""Name parts that belong to a wrapper and do not identify the module."""

LOW_RANK = {
    ".lora_A.weight": "a", ".lora_B.weight": "b", ".lora_embedding_A": "a", ".lora_embedding_B": "b",
    ".lora_magnitude_vector": "magnitude", ".lora_B.bias": "bias",
}  # fmt: skip
EMBEDDINGS = frozenset({"embed_tokens", "lm_head"})


def plain_name(name: str) -> str:
    """A tensor's or module's name without its wrappers: the same in every checkpoint of a model."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LowRank:
    """What an adapter adds to one weight: `scale * left @ right`, and DoRA's row magnitudes if it has them.

    `left` is `(rows, rank)` and `right` `(rank, values in a row)`, both float32; `magnitude` is `(rows,)`.
    """

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    scale: float
    magnitude: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class AdapterWeights:
    """An adapter's settings and tensors; `modules` holds the tensors of each low-rank module, by plain name.

    `saved` holds the tensors that were trained in full and replace those of the base, by plain name.
    """

    path: Path
    settings: Mapping[str, Any]
    modules: Mapping[str, Mapping[str, Tensor]] = field(repr=False)
    saved: Mapping[str, Tensor] = field(repr=False)
    unknown: tuple[str, ...] = ()

    @cached_property
    def rank(self) -> int:
        """The largest rank of any module."""
        ranks = (_rank(tensors) for tensors in self.modules.values() if "a" in tensors)
        return max(ranks, default=int(self.settings.get("r", 8)))

    def scale(self, module: str) -> float:
        """The factor of the product of a module's two matrices."""
        rank = _rank(self.modules[module])
        alpha = float(_alpha(self.settings, _full_name(self.modules[module]["a"])))
        return alpha / (math.sqrt(rank) if self.settings.get("use_rslora") else rank)

    def low_rank(self, module: str, shape: tuple[int, ...]) -> LowRank:
        """The low-rank update of a module's weight; the weight's `shape` decides the layout of peft's two matrices.

        Raises JobError if they do not fit it.
        """
        tensors = self.modules[module]
        a, b = (_matrix(tensors[part], module) for part in ("a", "b"))
        rows, values = shape[0], math.prod(shape[1:])
        magnitude = tensors["magnitude"].read_float32().ravel() if "magnitude" in tensors else None
        scale = self.scale(module)
        transposed = tensors["a"].name.endswith("lora_embedding_A") or (b.shape[0], a.shape[1]) != (rows, values)
        left, right = (a.T, b.T) if transposed else (b, a)
        if (left.shape[0], right.shape[1]) != (rows, values):
            raise JobError(f"the adapter's {module} of {b.shape} x {a.shape} does not fit the base's {shape}")
        return LowRank(left=left, right=right, scale=scale, magnitude=magnitude)

    def bias(self, module: str) -> NDArray[np.float32] | None:
        """What is added to a module's bias, if peft trained one (`lora_bias`)."""
        tensor = self.modules[module].get("bias")
        return None if tensor is None else tensor.read_float32().ravel() * np.float32(self.scale(module))


def is_embedding(module: str) -> bool:
    """Whether a module is the token embedding, or the head that many models share with it."""
    return module.rpartition(".")[2] in EMBEDDINGS


def read_adapter_weights(path: Path) -> AdapterWeights:
    """Reads an adapter's settings and the header of its weights; raises UsageError if it has none."""
    settings = _settings(path / CONFIG_NAME)
    weights = path / WEIGHTS_NAME
    if not weights.is_file():
        others = ", ".join(sorted(file.name for file in path.glob("adapter_model.*"))) or "none"
        raise UsageError(f"{path} holds no {WEIGHTS_NAME} (weights there: {others}); save the adapter as safetensors")
    damaged = safetensors_damage(weights)
    if damaged is not None:
        raise UsageError(f"the weights are damaged: {weights} {damaged}; download or train them again")
    modules: dict[str, dict[str, Tensor]] = {}
    saved: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in tensors_in([weights]).items():
        ending = next((ending for ending in LOW_RANK if name.endswith(ending)), None)
        if ending is not None:
            modules.setdefault(plain_name(name.removesuffix(ending)), {})[LOW_RANK[ending]] = tensor
        elif name.endswith((".weight", ".bias")) and "lora_" not in name:
            saved[plain_name(name.replace(".base_layer.", ".").replace(".modules_to_save.", "."))] = tensor
        else:
            unknown.append(name)
    half = next((module for module, tensors in modules.items() if not {"a", "b"} <= tensors.keys()), None)
    if half is not None:
        raise UsageError(f"{weights} holds only one of the two matrices of {half}; download or train it again")
    return AdapterWeights(path=path, settings=settings, modules=modules, saved=saved, unknown=tuple(unknown))


def _settings(config: Path) -> dict[str, Any]:
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{config.parent} is no LoRA adapter: it has no {CONFIG_NAME}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{config} cannot be read ({error}); download or train the adapter again") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{config} holds no settings of an adapter; download or train it again")
    return settings


def _rank(tensors: Mapping[str, Tensor]) -> int:
    return tensors["a"].shape[0]


def _matrix(tensor: Tensor, module: str) -> NDArray[np.float32]:
    values = tensor.read_float32()
    if not np.isfinite(values).all():
        raise JobError(f"the adapter's {module} holds NaN or infinite values; the training went wrong")
    return values


def _full_name(matrix: Tensor) -> str:
    """A module's name as peft knew it; the patterns in its settings match this name."""
    ending = next(ending for ending in LOW_RANK if matrix.name.endswith(ending))
    return matrix.name.removesuffix(ending).removeprefix(PEFT_PREFIX)


def _alpha(settings: Mapping[str, Any], module: str) -> Any:
    """peft's own rule: a pattern matches the end of a module's name, from a dot on; the first match counts."""
    pattern = settings.get("alpha_pattern") or {}
    fitting = (value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", module))
    return next(fitting, settings.get("lora_alpha", 8))
