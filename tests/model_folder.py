"""Model and adapter folders that look real to Vigil, which vLLM never sees; and the tiny base with other settings."""

import json
from pathlib import Path

from tensors import random_bits, random_values, write_adapter, write_tensors
from vigil.frames import FrameSampling
from vigil.manifest import Contract, Manifest
from vigil.questions import load_question
from vigil.tiny import BASE_FOLDER

_HEADER = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
WEIGHTS = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(8)
"""A safetensors file with one tensor of two numbers."""

LORA_MODULE = "model.language_model.layers.0.self_attn.q_proj"
"""What the adapters of these folders were trained on."""

STOCK_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content is string %}
        {{- message.content }}
    {%- else %}
        {%- for content in message.content %}
            {%- if content.type == 'image' or 'image' in content or 'image_url' in content -%}
                <|vision_start|><|image_pad|><|vision_end|>
            {%- elif content.type == 'video' or 'video' in content -%}
                <|vision_start|><|video_pad|><|vision_end|>
            {%- elif 'text' in content %}
                {{- content.text }}
            {%- endif %}
        {%- endfor %}
    {%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""


def contract(**sampling: object) -> Contract:
    """The contract of the task `fight` under a sampling."""
    return Contract.of(load_question("fight"), FrameSampling(**sampling))  # type: ignore[arg-type]


def make_model(
    folder: Path,
    *,
    held: Contract | None = None,
    max_positions: int = 32_768,
    table_rows: int = 9,
    model_type: str = "qwen3_vl",
) -> Path:
    """A model folder that claims Qwen3-VL-2B's dimensions, with a manifest where a contract is given.

    A row of its table of tokens takes 16 bytes.
    """
    folder.mkdir(parents=True)
    text = {
        "max_position_embeddings": max_positions,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, "text_config": text}))
    tensors = {
        f"{LORA_MODULE}.weight": random_bits(3, 8, 8),
        "model.language_model.embed_tokens.weight": random_bits(5, table_rows, 8),
        "model.visual.blocks.0.attn.qkv.weight": random_bits(4, 8, 8),
    }
    write_tensors(folder / "model.safetensors", tensors)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "chat_template.jinja").write_text(STOCK_TEMPLATE)
    return _with_manifest(folder, held)


def altered_base(folder: Path, *, max_positions: int = 0, generation: dict[str, object] | None = None) -> Path:
    """The tiny base, its weights linked, with another longest context or more in its `generation_config.json`."""
    folder.mkdir(parents=True)
    for file in BASE_FOLDER.iterdir():
        (folder / file.name).symlink_to(file)
    if max_positions:
        config = json.loads((BASE_FOLDER / "config.json").read_text())
        config["text_config"]["max_position_embeddings"] = max_positions
        _replace(folder / "config.json", config)
    if generation:
        held = json.loads((BASE_FOLDER / "generation_config.json").read_text())
        _replace(folder / "generation_config.json", held | generation)
    return folder


def _replace(link: Path, content: object) -> None:
    link.unlink()
    link.write_text(json.dumps(content))


def make_adapter(folder: Path, *, held: Contract | None = None, rank: int = 8) -> Path:
    """An adapter folder of a rank, with a manifest where a contract is given."""
    tensors = {
        f"{LORA_MODULE}.lora_A.weight": random_values(1, rank, 8),
        f"{LORA_MODULE}.lora_B.weight": random_values(2, 8, rank),
    }
    write_adapter(folder, tensors, r=rank)
    return _with_manifest(folder, held)


def make_environment(folder: Path, *, distribution: str, version: str = "0.32.0") -> Path:
    """An environment with a Python and one installed distribution; returns its Python."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    info = folder / "lib" / "python3.11" / "site-packages" / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    return python


def _with_manifest(folder: Path, held: Contract | None) -> Path:
    if held is not None:
        Manifest(contract=held, base_model="base", template="qwen3_vl_nothink").write(folder)
    return folder
