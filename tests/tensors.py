"""Safetensors files written by hand, and a small model, an adapter and their merge, computed in float64."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.models.bfloat16 import rounded, to_float32

Array: TypeAlias = NDArray[Any]

DTYPES = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int64": "I64"}
"""`uint16` stands for the bits of bfloat16."""


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> Path:
    """A safetensors file of these tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, values in tensors.items():
        end = start + values.nbytes
        header[name] = {"dtype": DTYPES[str(values.dtype)], "shape": list(values.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(values).tobytes() for values in tensors.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def flip_byte(file: Path, at: int) -> None:
    """Changes one byte of a file, counted from its beginning or, below 0, from its end."""
    content = bytearray(file.read_bytes())
    content[at] ^= 0xFF
    file.write_bytes(content)


def write_model(folder: Path, tensors: Mapping[str, Array], *, tied: bool = False, shards: int = 1) -> Path:
    """A model folder with its weights in one file, or in several and an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"tie_word_embeddings": tied}))
    if shards == 1:
        write_tensors(folder / "model.safetensors", tensors)
        return folder
    files = {name: f"model-{index % shards + 1:05d}-of-{shards:05d}.safetensors" for index, name in enumerate(tensors)}
    for file in set(files.values()):
        write_tensors(folder / file, {name: tensors[name] for name in tensors if files[name] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return folder


def write_adapter(folder: Path, tensors: Mapping[str, Array], **settings: Any) -> Path:
    """An adapter folder as peft writes it; `tensors` by their names in its wrapper."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4} | settings))
    write_tensors(folder / "adapter_model.safetensors", {f"base_model.model.{name}": v for name, v in tensors.items()})
    return folder


def random_bits(seed: int, *shape: int, size: float = 0.05) -> NDArray[np.uint16]:
    """Normally distributed bfloat16."""
    return rounded((np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32))


def random_values(seed: int, *shape: int, size: float = 0.05) -> NDArray[np.float32]:
    """Normally distributed float32."""
    return (np.random.default_rng(seed).standard_normal(shape) * size).astype(np.float32)


def merged_bits(base: NDArray[np.uint16], product: Array, scale: float) -> NDArray[np.uint16]:
    """`base + scale * product` in float64, rounded to bfloat16."""
    return rounded((to_float32(base).astype(np.float64) + scale * product).astype(np.float32))
