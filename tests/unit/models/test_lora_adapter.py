"""What is read of an adapter's folder, and what cannot be done with it."""

from pathlib import Path
from typing import Any

import pytest

from tensors import Array, random_bits, random_values, write_adapter
from vigil.errors import JobError, UsageError
from vigil.models.lora_adapter import plain_name, read_adapter_weights
from vigil.models.lora_compatibility import why_unmergeable, why_unprovable, why_unservable

LAYER = "model.language_model.layers.0.self_attn.q_proj"
BLOCK = "model.visual.blocks.0.attn.qkv"
TABLE = "model.language_model.embed_tokens"


def pair(module: str, rank: int = 2) -> dict[str, Array]:
    return {f"{module}.lora_A.weight": random_values(1, rank, 8), f"{module}.lora_B.weight": random_values(2, 8, rank)}


def table(module: str = TABLE) -> dict[str, Array]:
    return {f"{module}.lora_embedding_A": random_values(1, 2, 8), f"{module}.lora_embedding_B": random_values(2, 8, 2)}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("base_model.model.model.language_model.layers.3.mlp.up_proj", "layers.3.mlp.up_proj"),
        ("model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"),
        ("language_model.model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"),
        ("thinker.model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight"),
        ("visual.merger.norm.weight", "visual.merger.norm.weight"),
        ("model.visual.merger.norm.weight", "visual.merger.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
    ],
)
def test_every_release_of_transformers_means_the_same_tensor(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_the_rank_is_the_largest_of_any_module(tmp_path: Path) -> None:
    tensors = pair(LAYER, rank=2) | pair(LAYER.replace("q_proj", "k_proj"), rank=6)
    assert read_adapter_weights(write_adapter(tmp_path, tensors, r=2, rank_pattern={"k_proj": 6})).rank == 6


@pytest.mark.parametrize(
    ("tensors", "settings", "reason"),
    [
        (pair(BLOCK), {}, "a trained vision tower (1 modules, as visual.blocks.0.attn.qkv)"),
        (pair("model.visual.merger.linear_fc1"), {}, "a trained vision tower"),
        (pair(LAYER), {"use_dora": True}, "DoRA"),
        (pair(LAYER), {"modules_to_save": ["lm_head"]}, "modules trained whole (lm_head)"),
        (pair(LAYER) | {"lm_head.weight": random_values(3, 8, 8)}, {}, "modules trained whole (lm_head.weight)"),
        (pair(LAYER), {"bias": "lora_only"}, "trained biases"),
        (pair(LAYER), {"lora_bias": True}, "trained biases"),
        (table(), {}, "a trained token table"),
        (pair("lm_head"), {}, "a trained token table"),
        (pair(LAYER, rank=513), {"r": 513}, "rank 513, above its 512"),
        (pair(LAYER), {"init_lora_weights": "pissa_niter_16"}, "a start of the kind pissa_niter_16"),
        (pair(LAYER), {"alora_invocation_tokens": [1]}, "an activated LoRA"),
        (pair(LAYER), {"peft_type": "LOHA"}, "an adapter of the kind LOHA"),
    ],
)
def test_what_vllm_cannot_serve_is_told(
    tmp_path: Path, tensors: dict[str, Array], settings: dict[str, Any], reason: str
) -> None:
    reasons = why_unservable(read_adapter_weights(write_adapter(tmp_path, tensors, **settings)))
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)


def test_an_ordinary_adapter_can_be_served_merged_and_proven(tmp_path: Path) -> None:
    adapter = read_adapter_weights(write_adapter(tmp_path, pair(LAYER), init_lora_weights="gaussian", bias="none"))
    assert why_unservable(adapter) == why_unmergeable(adapter, tied=True) == why_unprovable(adapter) == []


def test_a_trained_tower_is_served_where_vllm_is_told_to(tmp_path: Path) -> None:
    adapter = read_adapter_weights(write_adapter(tmp_path, pair(BLOCK) | pair(LAYER)))
    assert why_unservable(adapter, with_tower=True) == []


@pytest.mark.parametrize("tensors", [table(), pair("lm_head")])
def test_a_lora_on_a_table_that_is_also_the_head_cannot_be_merged(tmp_path: Path, tensors: dict[str, Array]) -> None:
    adapter = read_adapter_weights(write_adapter(tmp_path, tensors))
    assert why_unmergeable(adapter, tied=False) == []
    assert "shares with its head" in why_unmergeable(adapter, tied=True)[0]


@pytest.mark.parametrize(
    ("tensors", "settings", "reason"),
    [
        (table(), {"use_dora": True}, "DoRA on a token table"),
        (pair(LAYER) | {f"{TABLE}.token_adapter.trainable_tokens_delta": random_values(3, 2, 8)}, {}, "another kind"),
        (pair(LAYER), {"init_lora_weights": "olora"}, "changes the base"),
        (pair(LAYER), {"peft_type": "OFT"}, "of the kind OFT"),
    ],
)
def test_what_cannot_be_proven_is_told(
    tmp_path: Path, tensors: dict[str, Array], settings: dict[str, Any], reason: str
) -> None:
    assert reason in why_unprovable(read_adapter_weights(write_adapter(tmp_path, tensors, **settings)))[0]


def test_folders_without_an_adapter_or_its_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no LoRA adapter: it has no adapter_config\.json"):
        read_adapter_weights(tmp_path)
    for text in ("{", "[1]"):
        (tmp_path / "adapter_config.json").write_text(text)
        with pytest.raises(UsageError, match=r"adapter_config\.json"):
            read_adapter_weights(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(UsageError, match=r"holds no adapter_model\.safetensors \(weights there: adapter_model\.bin\)"):
        read_adapter_weights(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(b"short")
    with pytest.raises(UsageError, match="damaged"):
        read_adapter_weights(tmp_path)


def test_half_a_module_is_refused(tmp_path: Path) -> None:
    tensors = pair(LAYER)
    del tensors[f"{LAYER}.lora_B.weight"]
    with pytest.raises(UsageError, match=r"only one of the two matrices of layers\.0\.self_attn\.q_proj"):
        read_adapter_weights(write_adapter(tmp_path, tensors))


def test_an_adapter_that_holds_no_numbers_is_told(tmp_path: Path) -> None:
    tensors = pair(LAYER)
    tensors[f"{LAYER}.lora_A.weight"][0, 0] = float("nan")
    adapter = read_adapter_weights(write_adapter(tmp_path, tensors))
    with pytest.raises(JobError, match="NaN or infinite values; the training went wrong"):
        adapter.low_rank("layers.0.self_attn.q_proj", (8, 8))


def test_an_adapter_in_bfloat16_is_read_too(tmp_path: Path) -> None:
    tensors = {f"{LAYER}.lora_A.weight": random_bits(1, 2, 8), f"{LAYER}.lora_B.weight": random_bits(2, 8, 2)}
    low_rank = read_adapter_weights(write_adapter(tmp_path, tensors)).low_rank("layers.0.self_attn.q_proj", (8, 8))
    assert (low_rank.left.shape, low_rank.right.shape, low_rank.scale) == ((8, 2), (2, 8), 2.0)
