"""The base's forward pass for windows of one size, without the loops that serve every size.

transformers attends the frames of a batch one after the other in Python; here all pairs of frames are one batched
call, over the very same weights. A test holds the logits equal to those of the ordinary forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from vigil.tiny.prompts import PromptBatch
from vigil.tiny.windows import GRID_HW, PATCHES, TOKENS_PER_PAIR, Image

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel


@dataclass(frozen=True)
class Seen:
    """Visual features: patches (B * pairs, 48, 128), tokens (B, pairs * 12, D), and one such for each deepstack."""

    patches: Tensor
    tokens: Tensor
    deepstack: tuple[Tensor, ...]


def see(tower: Qwen3VLVisionModel, patches: Image | Tensor) -> Seen:
    """Run the vision tower over uint8 patches (B, pairs, 48, 1536)."""
    pixels = torch.as_tensor(patches)
    batch = pixels.shape[0]
    flat = pixels.reshape(-1, PATCHES, pixels.shape[-1]).float() / 127.5 - 1.0
    projection = tower.patch_embed.proj
    hidden = F.linear(flat, projection.weight.flatten(1), projection.bias)
    grid = torch.tensor([[1, *GRID_HW]])
    hidden = hidden + tower.fast_pos_embed_interpolate(grid)
    angles = tower.rot_pos_emb(grid)
    rotary = torch.cat((angles, angles), dim=-1)
    extra = []
    for number, block in enumerate(tower.blocks):
        hidden = hidden + _attend(block.attn, block.norm1(hidden), rotary.cos(), rotary.sin())
        hidden = hidden + block.mlp(block.norm2(hidden))
        if number in tower.deepstack_visual_indexes:
            merger = tower.deepstack_merger_list[tower.deepstack_visual_indexes.index(number)]
            extra.append(merger(hidden).reshape(batch, -1, merger.linear_fc2.out_features))
    tokens = tower.merger(hidden)
    return Seen(hidden, tokens.reshape(batch, -1, tokens.shape[-1]), tuple(extra))


def _attend(attention: torch.nn.Module, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

    rows, length, width = hidden.shape
    query, key, value = attention.qkv(hidden).reshape(rows, length, 3, attention.num_heads, -1).unbind(2)
    query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
    mixed = F.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    out: Tensor = attention.proj(mixed.transpose(1, 2).reshape(rows, length, width))
    return out


def think(model: Qwen3VLForConditionalGeneration, seen: Seen, prompt: PromptBatch) -> Tensor:
    """Run the language model over prompts whose pictures were seen; returns hidden states (B, L, D)."""
    language = model.model.language_model
    at = torch.from_numpy(prompt.is_visual).nonzero()[:, 0]
    hidden = language.embed_tokens(torch.from_numpy(prompt.ids))
    hidden = hidden.to(seen.tokens.dtype).index_copy(1, at, seen.tokens)
    rotary = language.rotary_emb(hidden, torch.from_numpy(prompt.positions[:, :1]))
    for number, layer in enumerate(language.layers):
        hidden = layer(hidden, attention_mask=None, position_embeddings=rotary)
        if number < len(seen.deepstack):
            hidden = hidden.index_add(1, at, seen.deepstack[number].to(hidden.dtype))
    out: Tensor = language.norm(hidden)
    return out


def visual_hidden(hidden: Tensor, prompt: PromptBatch) -> Tensor:
    """The hidden states at the pictures: (B, pairs, 12, D)."""
    at = torch.from_numpy(prompt.is_visual).nonzero()[:, 0]
    return hidden[:, at].reshape(hidden.shape[0], -1, TOKENS_PER_PAIR, hidden.shape[-1])
