"""A fast forward pass of the base for windows of one fixed size.

transformers loops over the frames of a batch in Python; here all pairs of frames are one batched call with the same
weights. A test checks that the logits equal those of the ordinary forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from tools.tiny_base.windows import GRID_HW, PATCHES, TOKENS_PER_PAIR, PromptBatch, WindowImage
from vigil.environments import fast_cpu_dtype

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel


def use_fast_precision() -> torch.autocast:
    """Autocast to bfloat16 on processors where it is fast; on others float32 is faster and is kept."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_cpu_dtype() == "bfloat16")


@dataclass(frozen=True)
class VisualFeatures:
    """Visual features: patches (B * pairs, 48, 128), tokens (B, pairs * 12, D), and tokens of each deepstack layer."""

    patches: Tensor
    tokens: Tensor
    deepstack: tuple[Tensor, ...]


def encode_frames(tower: Qwen3VLVisionModel, patches: WindowImage | Tensor) -> VisualFeatures:
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
        hidden = hidden + _vision_attention(block.attn, block.norm1(hidden), rotary.cos(), rotary.sin())
        hidden = hidden + block.mlp(block.norm2(hidden))
        if number in tower.deepstack_visual_indexes:
            merger = tower.deepstack_merger_list[tower.deepstack_visual_indexes.index(number)]
            extra.append(merger(hidden).reshape(batch, -1, merger.linear_fc2.out_features))
    tokens = tower.merger(hidden)
    return VisualFeatures(hidden, tokens.reshape(batch, -1, tokens.shape[-1]), tuple(extra))


def _vision_attention(attention: torch.nn.Module, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

    rows, length, width = hidden.shape
    query, key, value = attention.qkv(hidden).reshape(rows, length, 3, attention.num_heads, -1).unbind(2)
    query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
    attended = _attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), None)
    out: Tensor = attention.proj(attended.transpose(1, 2).reshape(rows, length, width))
    return out


def _attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention over (rows, heads, length, width), written out because the backward pass of the fused kernel is five
    times slower in bfloat16 on a CPU."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    return scores.softmax(-1).to(value.dtype) @ value


def run_language_model(model: Qwen3VLForConditionalGeneration, visual: VisualFeatures, prompt: PromptBatch) -> Tensor:
    """Run the language model over prompts with encoded frames; returns hidden states (B, L, D)."""
    language = model.model.language_model
    at = torch.from_numpy(prompt.is_visual).nonzero()[:, 0]
    hidden = language.embed_tokens(torch.from_numpy(prompt.ids))
    hidden = hidden.to(visual.tokens.dtype).index_copy(1, at, visual.tokens)
    rotary = language.rotary_emb(hidden, torch.from_numpy(prompt.positions[:, :1]))
    mask = torch.full((hidden.shape[1], hidden.shape[1]), -1e4).triu(1)
    for number, layer in enumerate(language.layers):
        hidden = hidden + _self_attention(layer.self_attn, layer.input_layernorm(hidden), rotary, mask)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
        if number < len(visual.deepstack):
            hidden = hidden.index_add(1, at, visual.deepstack[number].to(hidden.dtype))
    out: Tensor = language.norm(hidden)
    return out


def _self_attention(attention: torch.nn.Module, hidden: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb

    shape = (*hidden.shape[:-1], -1, attention.head_dim)
    query = attention.q_norm(attention.q_proj(hidden).view(shape)).transpose(1, 2)
    key = attention.k_norm(attention.k_proj(hidden).view(shape)).transpose(1, 2)
    value = attention.v_proj(hidden).view(shape).transpose(1, 2)
    query, key = apply_rotary_pos_emb(query, key, *rotary)
    groups = attention.num_key_value_groups
    attended = _attention(query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), mask)
    out: Tensor = attention.o_proj(attended.transpose(1, 2).flatten(2))
    return out


def visual_hidden(hidden: Tensor, prompt: PromptBatch) -> Tensor:
    """The hidden states of the visual tokens: (B, pairs, 12, D)."""
    at = torch.from_numpy(prompt.is_visual).nonzero()[:, 0]
    return hidden[:, at].reshape(hidden.shape[0], -1, TOKENS_PER_PAIR, hidden.shape[-1])
