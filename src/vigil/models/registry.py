"""Finds the family of a model: by its config.json, by the name in a manifest, or by the frames it reads."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.models.family import ModelFamily
from vigil.models.qwen import QWEN2_5_VL, QWEN3_VL

FAMILIES: Final[tuple[ModelFamily, ...]] = (QWEN3_VL, QWEN2_5_VL)
"""The first is the default for manifests and datasets that name no family."""


def family_of(config: Mapping[str, Any], *, where: str = "the model") -> ModelFamily:
    """The family of a model by its config.json; raises UsageError if Vigil does not support it."""
    model_type = config.get("model_type")
    found = next((family for family in FAMILIES if model_type in family.model_types), None)
    if found is None:
        raise UsageError(
            f"{where} is of the type {model_type!r} (config.json, model_type), and Vigil knows {_known()}; take a "
            f"model of one of these, as {FAMILIES[0].example}"
        )
    return found


def family_in(folder: Path) -> ModelFamily:
    """The family of the model in a folder; raises UsageError if there is no model or Vigil does not support it."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{folder} is no model folder: it has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    return family_of(config if isinstance(config, dict) else {}, where=str(folder))


def family_named(name: str) -> ModelFamily:
    """The family of that name; raises UsageError listing the known ones."""
    found = next((family for family in FAMILIES if family.name == name), None)
    if found is None:
        raise UsageError(f"there is no model family {name!r}; Vigil knows {_known()}")
    return found


def family_reading(sampling: FrameSampling) -> ModelFamily:
    """A family that reads frames of this grid, for callers that know only the contract; raises UsageError."""
    found = next((family for family in FAMILIES if family.reads(sampling)), None)
    if found is None:
        grid = f"multiples of {sampling.pixel_multiple} px in groups of {sampling.frames_per_group}"
        raise UsageError(f"no model family that Vigil knows reads frames in {grid}; it knows {_known()}")
    return found


def _known() -> str:
    return ", ".join(f"{family.name} ({family.title})" for family in FAMILIES)
