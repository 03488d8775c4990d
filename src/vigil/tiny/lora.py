"""A low-rank adapter for the language model, as LLaMA-Factory's default puts it there, small enough to read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

_SCALE = 2.0  # LLaMA-Factory's lora_alpha is twice the rank


class Adapted(nn.Module):  # type: ignore[misc]
    """A linear layer with a low-rank addition."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, hidden: Tensor) -> Tensor:
        """The layer's output plus the low-rank part."""
        low = hidden @ self.down.T.to(hidden.dtype)
        out: Tensor = self.base(hidden) + _SCALE * (low @ self.up.T.to(hidden.dtype))
        return out


def add_lora(model: Qwen3VLForConditionalGeneration, *, rank: int) -> list[nn.Parameter]:
    """Freeze the model, put a low-rank addition on every linear layer of the language model, and return those."""
    model.requires_grad_(False)
    layers = model.model.language_model.layers
    parts = [part for layer in layers for part in (layer.self_attn, layer.mlp)]
    return [parameter for part in parts for parameter in _adapt(part, rank)]


def _adapt(part: nn.Module, rank: int) -> list[nn.Parameter]:
    linear = {name: child for name, child in part.named_children() if isinstance(child, nn.Linear)}
    adapted = {name: Adapted(child, rank) for name, child in linear.items()}
    for name, child in adapted.items():
        setattr(part, name, child)
    return [parameter for child in adapted.values() for parameter in (child.down, child.up)]
