"""The architectures of the published Qwen3-VL models: the contents of their config.json, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

VISION: Final = {
    "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [5, 11, 17], "patch_size": 16, "temporal_patch_size": 2, "spatial_merge_size": 2,
    "in_channels": 3, "hidden_act": "gelu_pytorch_tanh", "initializer_range": 0.02,
    "model_type": "qwen3_vl",
}  # fmt: skip
"""The vision tower of both sizes, except for its output width."""

TEXT: Final = {
    "vocab_size": 151_936, "num_key_value_heads": 8, "head_dim": 128, "hidden_act": "silu",
    "max_position_embeddings": 262_144, "rms_norm_eps": 1e-6, "attention_bias": False, "attention_dropout": 0.0,
    "initializer_range": 0.02, "tie_word_embeddings": True, "bos_token_id": 151_643, "eos_token_id": 151_645,
    "rope_theta": 5_000_000, "use_cache": True, "dtype": "bfloat16", "model_type": "qwen3_vl_text",
    "rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20], "mrope_interleaved": True},
}  # fmt: skip

MODEL: Final = {
    "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "tie_word_embeddings": True,
    "image_token_id": 151_655, "video_token_id": 151_656, "vision_start_token_id": 151_652,
    "vision_end_token_id": 151_653,
}  # fmt: skip

GENERATION: Final[Mapping[str, Any]] = {
    "bos_token_id": 151_643, "pad_token_id": 151_643, "eos_token_id": [151_645, 151_643], "do_sample": True,
    "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.0,
}  # fmt: skip
"""The sampling settings of the published model; they must not affect verdicts or descriptions."""

CONTEXT_TOKENS: Final = 262_144
IMAGE_SHORTEST_PX: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A published model: its name on the hubs, its dimensions, and the training config that the README uses.

    `parameters` counts shared weights once: the output layer is the embedding.
    """

    size: str
    name: str
    train_config: str
    parameters: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int

    @property
    def model_config(self) -> dict[str, Any]:
        """The content of its config.json."""
        text = TEXT | {
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
        }
        return MODEL | {"text_config": text, "vision_config": VISION | {"out_hidden_size": self.hidden_size}}

    @property
    def weights_bytes(self) -> int:
        """The size of the weights in bfloat16."""
        return 2 * self.parameters


_2B: Final = ModelShape(
    size="2b",
    name="Qwen3-VL-2B-Instruct",
    train_config="qwen3vl_2b_lora",
    parameters=2_127_532_032,
    hidden_size=2048,
    intermediate_size=6144,
    layers=28,
    heads=16,
)
_4B: Final = ModelShape(
    size="4b",
    name="Qwen3-VL-4B-Instruct",
    train_config="qwen3vl_4b_lora",
    parameters=4_437_815_808,
    hidden_size=2560,
    intermediate_size=9728,
    layers=36,
    heads=32,
)
SHAPES: Final[Mapping[str, ModelShape]] = {shape.size: shape for shape in (_2B, _4B)}
