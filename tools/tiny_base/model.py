"""The tiny base: a Qwen3-VL with about 3.9 million parameters, its processor files, and a minimal LoRA.

`python -m tools.tiny_base.model FOLDER` writes an untrained one (needs the training environment). The LoRA covers the
linear layers of the language model, like LLaMA-Factory's default.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from tools.tiny_base.tokenizer import CONTEXT_TOKENS, save_tokenizer, tiny_vocabulary
from tools.tiny_base.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

SEED: Final = 20
CHAT_TEMPLATE: Final = """\
{%- set image_count = namespace(value=0) %}
{%- set video_count = namespace(value=0) %}
{%- macro content_of(content, counting) %}
    {%- if content is string %}
        {{- content }}
    {%- else %}
        {%- for part in content %}
            {%- if 'image' in part or 'image_url' in part or part.type == 'image' %}
                {%- if counting %}{%- set image_count.value = image_count.value + 1 %}{%- endif %}
                {%- if add_vision_id %}Picture {{ image_count.value }}: {% endif -%}
                <|vision_start|><|image_pad|><|vision_end|>
            {%- elif 'video' in part or part.type == 'video' %}
                {%- if counting %}{%- set video_count.value = video_count.value + 1 %}{%- endif %}
                {%- if add_vision_id %}Video {{ video_count.value }}: {% endif -%}
                <|vision_start|><|video_pad|><|vision_end|>
            {%- elif 'text' in part %}
                {{- part.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + content_of(message.content, message.role == 'user') + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
_NORMALISE: Final[dict[str, Any]] = {
    "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 1 / 255, "resample": 3,
    "patch_size": 16, "temporal_patch_size": 2, "merge_size": 2,
}  # fmt: skip


def tiny_config(tokenizer: Any) -> Qwen3VLConfig:
    """The model configuration with the token ids of a tokenizer."""
    from transformers import Qwen3VLConfig

    ids = tokenizer.convert_tokens_to_ids
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 4,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": CONTEXT_TOKENS,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5], "mrope_interleaved": True,
        },
        "tie_word_embeddings": True, "pad_token_id": ids("<|endoftext|>"), "bos_token_id": ids("<|endoftext|>"),
        "eos_token_id": ids("<|im_end|>"),
    }  # fmt: skip
    vision = {
        "depth": 4, "hidden_size": 128, "intermediate_size": 512, "num_heads": 4, "out_hidden_size": 192,
        "num_position_embeddings": 256, "deepstack_visual_indexes": [1, 2], "patch_size": 16,
        "temporal_patch_size": 2, "spatial_merge_size": 2,
    }  # fmt: skip
    return Qwen3VLConfig(
        text_config=text, vision_config=vision, tie_word_embeddings=True,
        image_token_id=ids("<|image_pad|>"), video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"), vision_end_token_id=ids("<|vision_end|>"),
    )  # fmt: skip


def save_processor(
    folder: Path, vocabulary: Vocabulary, *, context_tokens: int = CONTEXT_TOKENS, image_shortest_px: int = 4096
) -> None:
    """Write the tokenizer and processor files of a Qwen3-VL; smaller images than `image_shortest_px` are enlarged."""
    save_tokenizer(folder, vocabulary, context_tokens=context_tokens)
    _write_processor(folder, image_shortest_px=image_shortest_px)


def untrained_model(folder: Path) -> Qwen3VLForConditionalGeneration:
    """A float32 model with random weights for the tokenizer in a folder."""
    import torch
    from transformers import Qwen2Tokenizer, Qwen3VLForConditionalGeneration

    torch.manual_seed(SEED)
    config = tiny_config(Qwen2Tokenizer.from_pretrained(str(folder)))
    return Qwen3VLForConditionalGeneration(config)


def save_model(model: Qwen3VLForConditionalGeneration, folder: Path) -> None:
    """Write the weights in bfloat16 with their configuration; the model in memory keeps its precision.

    The configuration says float32, which loaders compute in: this base is for CPUs, and those without AVX-512 train
    ten times as fast in float32 (docs/training.md).
    """
    import copy

    import torch
    from transformers import GenerationConfig

    shipped = copy.deepcopy(model).to(torch.bfloat16)
    text = model.config.text_config
    shipped.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[text.eos_token_id, text.pad_token_id], pad_token_id=text.pad_token_id
    )
    shipped.save_pretrained(str(folder))
    config = folder / "config.json"
    said = json.loads(config.read_text(encoding="utf-8")) | {"dtype": "float32"}
    config.write_text(json.dumps(said, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_processor(folder: Path, *, image_shortest_px: int) -> None:
    from transformers import AutoTokenizer, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    images = Qwen2VLImageProcessor(size={"shortest_edge": image_shortest_px, "longest_edge": 16777216}, **_NORMALISE)
    videos = Qwen3VLVideoProcessor(size={"shortest_edge": 4096, "longest_edge": 25165824}, **_NORMALISE)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    processor = Qwen3VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)
    processor.save_pretrained(str(folder))
    _write_classic_files(folder, image_shortest_px=image_shortest_px)
    _drop_load_options(folder / "tokenizer_config.json")


def _drop_load_options(config: Path) -> None:
    """Removes the options with which this process loaded the tokenizer, which transformers saves too."""
    noted = json.loads(config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in noted.items() if key not in {"is_local", "local_files_only"}}
    config.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_classic_files(folder: Path, *, image_shortest_px: int) -> None:
    """Write the two files in which older readers and some servers look for the sizes."""
    image: dict[str, Any] = {"image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor"}
    video: dict[str, Any] = {"video_processor_type": "Qwen3VLVideoProcessor", "processor_class": "Qwen3VLProcessor"}
    image |= _NORMALISE | {"size": {"shortest_edge": image_shortest_px, "longest_edge": 16777216}}
    video |= _NORMALISE | {"size": {"shortest_edge": 4096, "longest_edge": 25165824}}
    for name, content in (("preprocessor_config.json", image), ("video_preprocessor_config.json", video)):
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

_SCALE = 2.0  # LLaMA-Factory's lora_alpha is twice the rank


class Adapted(nn.Module):  # type: ignore[misc]
    """A linear layer with a LoRA adapter."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features) / math.sqrt(base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, hidden: Tensor) -> Tensor:
        """The output of the layer plus that of the adapter."""
        low = hidden @ self.down.T.to(hidden.dtype)
        out: Tensor = self.base(hidden) + _SCALE * (low @ self.up.T.to(hidden.dtype))
        return out


def add_lora(model: Qwen3VLForConditionalGeneration, *, rank: int) -> list[nn.Parameter]:
    """Freeze the model, add LoRA to every linear layer of the language model, and return the new parameters."""
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


if __name__ == "__main__":
    target = Path(sys.argv[1])
    save_processor(target, tiny_vocabulary())
    save_model(untrained_model(target), target)
