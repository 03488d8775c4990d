"""Writes a model folder with the files of a published Qwen3-VL, but random weights.

`python -m tools.rehearsal.checkpoint 2b FOLDER`, with the training environment's Python. The folder is renamed to
FOLDER once it is complete.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tools.rehearsal.shapes import CONTEXT_TOKENS, GENERATION, IMAGE_SHORTEST_PX, SHAPES, ModelShape
from tools.tiny_base.model import save_processor
from tools.tiny_base.vocabulary import load_vocabulary
from vigil.errors import VigilError
from vigil.files import atomic_folder, explain_os_error

if TYPE_CHECKING:
    import torch

SEED: Final = 2
SHARD_BYTES: Final = 5_000_000_000
"""As published: the 2B model is one file, the 4B model two files."""

Tensors = dict[str, "torch.Tensor"]


def write_checkpoint(shape: ModelShape, folder: Path) -> None:
    """Writes bfloat16 weights, configuration, tokenizer and processor; raises OSError if they cannot be written."""
    with atomic_folder(folder, sync=False) as partial:
        save_processor(partial, load_vocabulary(), context_tokens=CONTEXT_TOKENS, image_shortest_px=IMAGE_SHORTEST_PX)
        _write_json(partial / "config.json", shape.model_config)
        _write_json(partial / "generation_config.json", GENERATION)
        _write_weights(shape, partial)


def _write_weights(shape: ModelShape, folder: Path) -> None:
    """Writes one file, or several with an index; only one is in memory at a time."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    shards = list(_shards(_sizes(shape)))
    names = _names(len(shards))
    for number, (name, sizes) in enumerate(zip(names, shards, strict=True)):
        try:
            save_file(_random(sizes, seed=SEED + number), folder / name, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(f"{name} cannot be written: {error}") from error
    if len(names) > 1:
        where = {tensor: name for name, sizes in zip(names, shards, strict=True) for tensor in sizes}
        index = {"metadata": {"total_size": shape.weights_bytes}, "weight_map": where}
        _write_json(folder / "model.safetensors.index.json", index)


def _sizes(shape: ModelShape) -> dict[str, torch.Size]:
    """The stored weights with their sizes; the output layer shares the embedding and is not stored."""
    import torch
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    with torch.device("meta"):
        model = Qwen3VLForConditionalGeneration(Qwen3VLConfig.from_dict(shape.model_config))
    return {name: weight.shape for name, weight in model.named_parameters()}


def _shards(sizes: dict[str, torch.Size]) -> Iterator[dict[str, torch.Size]]:
    shard: dict[str, torch.Size] = {}
    for name, size in sizes.items():
        if shard and 2 * sum(map(_count, (*shard.values(), size))) > SHARD_BYTES:
            yield shard
            shard = {}
        shard[name] = size
    yield shard


def _count(size: torch.Size) -> int:
    return int(size.numel())


def _names(shards: int) -> list[str]:
    if shards == 1:
        return ["model.safetensors"]
    return [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]


def _random(sizes: dict[str, torch.Size], *, seed: int) -> Tensors:
    """Normally distributed weights, like Qwen3-VL's initialization; norms are 1, biases 0."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return {name: _weight(name, size, generator) for name, size in sizes.items()}


def _weight(name: str, size: torch.Size, generator: torch.Generator) -> torch.Tensor:
    import torch

    if name.endswith(".bias"):
        return torch.zeros(size, dtype=torch.bfloat16)
    if len(size) == 1:
        return torch.ones(size, dtype=torch.bfloat16)
    return torch.empty(size, dtype=torch.bfloat16).normal_(0.0, 0.02, generator=generator)


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def main(size: str, folder: str) -> int:
    """Writes the model of a size; returns the exit code, errors are one line on stderr."""
    try:
        write_checkpoint(SHAPES[size], Path(folder))
    except (VigilError, OSError) as error:
        message = explain_os_error(error) if isinstance(error, OSError) else error
        sys.stderr.write(f"the model cannot be written to {folder}: {message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
