"""A merge that is right is found right, and any other is named, also where the adapter hardly moves a weight."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensors import Array, merged_bits, random_bits, random_values, write_adapter, write_model
from vigil.errors import JobError
from vigil.models.bfloat16 import rounded, to_float32
from vigil.models.lora_adapter import read_adapter_weights
from vigil.models.merge_check import MergeReport, compare_merge, ties_embeddings, untie

Q, UP, NORM, EMBED, HEAD, PATCH = (
    "model.language_model.layers.0.self_attn.q_proj.weight",
    "model.language_model.layers.0.mlp.up_proj.weight",
    "model.language_model.norm.weight",
    "model.language_model.embed_tokens.weight",
    "lm_head.weight",
    "model.visual.patch_embed.proj.weight",
)
MODULE_Q, MODULE_UP = Q.removesuffix(".weight"), UP.removesuffix(".weight")
TINY_MOVE = 1e-5
"""Far below half a unit in the last place of most weights of 0.05."""


@dataclass
class Case:
    """A base, an adapter on two of its tensors, and their merge, each to be changed by a test."""

    folder: Path
    move: float = 0.02
    base: dict[str, Array] = field(default_factory=dict)
    adapter: dict[str, Array] = field(default_factory=dict)
    merged: dict[str, Array] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    tied: bool = False

    def __post_init__(self) -> None:
        self.base = {
            Q: random_bits(1, 64, 64),
            UP: random_bits(2, 96, 64),
            NORM: random_bits(3, 64),
            EMBED: random_bits(4, 40, 64),
            PATCH: random_bits(5, 16, 3, 2, 4, 4),
            "position_ids": np.arange(7, dtype=np.int64),
        }
        for index, module in enumerate((MODULE_Q, MODULE_UP)):
            rows = self.base[f"{module}.weight"].shape[0]
            self.adapter[f"{module}.lora_A.weight"] = random_values(10 + index, 2, 64, size=1.0)
            self.adapter[f"{module}.lora_B.weight"] = random_values(20 + index, rows, 2, size=self.move)
        self.merged = {name: values.copy() for name, values in self.base.items()}
        self.merge(Q, scale=2.0)
        self.merge(UP, scale=2.0)

    def product(self, weight: str) -> Array:
        module = weight.removesuffix(".weight")
        a, b = self.adapter[f"{module}.lora_A.weight"], self.adapter[f"{module}.lora_B.weight"]
        return b.astype(np.float64) @ a.astype(np.float64)

    def merge(self, weight: str, *, scale: float) -> None:
        self.merged[weight] = merged_bits(self.base[weight], self.product(weight), scale)

    def compare(self, *, shards: int = 1) -> MergeReport:
        base = write_model(self.folder / "base", self.base, tied=self.tied)
        merged = write_model(self.folder / "merged", self.merged, tied=self.tied, shards=shards)
        adapter = write_adapter(self.folder / "adapter", self.adapter, **self.settings)
        return compare_merge(base, read_adapter_weights(adapter), merged)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.fixture
def faint(tmp_path: Path) -> Case:
    """An adapter after a step or two."""
    return Case(tmp_path, move=TINY_MOVE)


def test_a_right_merge_tells_what_was_compared_and_how_much_moved(case: Case) -> None:
    report = case.compare()
    assert (report.tensors, report.adapted) == (6, 2)
    assert report.either_way < 5
    assert report.values == sum(values.size for values in case.base.values())
    pairs = [(to_float32(case.base[name]), 2.0 * case.product(name)) for name in (Q, UP)]
    base, move = (np.concatenate([pair[part].ravel() for pair in pairs]) for part in (0, 1))
    assert report.moved == pytest.approx(np.linalg.norm(move) / np.linalg.norm(base), rel=1e-3)
    changed = sum(np.count_nonzero(case.base[name] != case.merged[name]) for name in (Q, UP))
    assert report.changed == pytest.approx(changed / base.size)
    assert str(report).startswith("6 tensors are base plus adapter, 2 of them adapted; largest deviation ")


def test_an_adapter_that_hardly_moves_is_found_right_too(faint: Case) -> None:
    report = faint.compare()
    assert 0 < report.changed < 0.5


def test_shards_and_other_names_of_the_same_tensors_are_read(case: Case) -> None:
    short = {
        name: name.replace("model.language_model.", "model.").replace("model.visual", "visual") for name in case.base
    }
    case.base = {short[name]: values for name, values in case.base.items()}
    assert case.compare(shards=3).adapted == 2


def test_a_base_in_float32_is_rounded_before_the_adapter_is_added(case: Case) -> None:
    exact = random_values(30, 64, 64)
    case.base[Q], case.base[NORM] = exact, random_values(31, 64)
    case.merged[Q] = merged_bits(rounded(exact), case.product(Q), 2.0)
    case.merged[NORM] = rounded(case.base[NORM])
    assert case.compare().adapted == 2


@pytest.mark.parametrize(
    ("settings", "scale_q", "scale_up"),
    [
        ({"use_rslora": True}, 4 / 2**0.5, 4 / 2**0.5),
        ({"alpha_pattern": {"q_proj": 10}}, 5.0, 2.0),
        ({"alpha_pattern": {r".*layers\.0\.mlp.up_proj": 1}, "rank_pattern": {"up_proj": 2}, "r": 64}, 2.0, 0.5),
        ({"lora_alpha": 3}, 1.5, 1.5),
    ],
)
def test_the_scale_is_pefts(case: Case, settings: dict[str, Any], scale_q: float, scale_up: float) -> None:
    case.settings = settings
    case.merge(Q, scale=scale_q)
    case.merge(UP, scale=scale_up)
    assert case.compare().adapted == 2


def test_a_layer_that_keeps_its_weight_transposed_is_merged_transposed(case: Case) -> None:
    case.settings = {"fan_in_fan_out": True}
    case.base[UP] = random_bits(6, 64, 96)
    case.merged[UP] = merged_bits(case.base[UP], case.product(UP).T, 2.0)
    assert case.compare().adapted == 2


def test_a_convolution_is_merged_as_one_long_row_for_each_channel(case: Case) -> None:
    a, b = random_values(40, 2, 3, 2, 4, 4), random_values(41, 16, 2, 1, 1, 1)
    module = PATCH.removesuffix(".weight")
    case.adapter |= {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}
    product = (b.reshape(16, 2).astype(np.float64) @ a.reshape(2, -1)).reshape(case.base[PATCH].shape)
    case.merged[PATCH] = merged_bits(case.base[PATCH], product, 2.0)
    assert case.compare().adapted == 3


def test_a_token_table_has_its_tokens_in_rows(case: Case) -> None:
    module = EMBED.removesuffix(".weight")
    a, b = random_values(42, 2, 40), random_values(43, 64, 2)
    case.adapter |= {f"{module}.lora_embedding_A": a, f"{module}.lora_embedding_B": b}
    case.merged[EMBED] = merged_bits(case.base[EMBED], (b.astype(np.float64) @ a).T, 2.0)
    assert case.compare().adapted == 3


def test_dora_gives_each_row_its_length(case: Case) -> None:
    lengths = random_values(44, 64, size=1.0) ** 2
    case.adapter[f"{MODULE_Q}.lora_magnitude_vector"] = lengths
    sums = to_float32(case.base[Q]).astype(np.float64) + 2.0 * case.product(Q)
    case.merged[Q] = rounded((sums * (lengths / np.linalg.norm(sums, axis=1))[:, None]).astype(np.float32))
    assert case.compare().largest_ulp <= 1
    case.merge(Q, scale=2.0)
    with pytest.raises(JobError, match=Q):
        case.compare()


def test_a_module_trained_whole_takes_the_place_of_the_bases(case: Case) -> None:
    case.adapter[NORM] = random_values(45, 64)
    with pytest.raises(JobError, match=rf"{NORM} differs in 64 of 64 values.*holds 0\.00 times"):
        case.compare()
    case.merged[NORM] = rounded(case.adapter[NORM])
    assert case.compare().adapted == 3


def test_a_head_trained_whole_leaves_the_table_that_it_shared(case: Case) -> None:
    case.tied = True
    case.adapter[HEAD] = random_values(46, 40, 64)
    case.merged[HEAD] = rounded(case.adapter[HEAD])
    write_model(case.folder / "merged", case.merged, tied=True)
    assert ties_embeddings(case.folder / "merged")
    untie(case.folder / "merged")
    assert not ties_embeddings(case.folder / "merged")
    base = write_model(case.folder / "base", case.base, tied=True)
    adapter = read_adapter_weights(write_adapter(case.folder / "adapter", case.adapter))
    assert compare_merge(base, adapter, case.folder / "merged").adapted == 3


@pytest.mark.parametrize("head_too", [False, True])
def test_a_table_trained_whole_together_with_its_head_stays_one(case: Case, head_too: bool) -> None:
    case.tied, case.settings = True, {"ensure_weight_tying": True}
    case.adapter[EMBED] = random_values(52, 40, 64)
    case.merged[EMBED] = rounded(case.adapter[EMBED])
    if head_too:
        case.adapter[HEAD] = case.adapter[EMBED]
    assert case.compare().adapted == (4 if head_too else 3)
    case.merged[EMBED] = case.base[EMBED]
    with pytest.raises(JobError, match=rf"{EMBED} differs in .*holds 0\.00 times"):
        case.compare()


def test_a_head_that_is_the_table_in_both_needs_no_tensor_of_its_own(case: Case) -> None:
    case.tied = True
    case.base[HEAD] = case.base[EMBED]
    assert case.compare().adapted == 2
    case.base[HEAD] = random_bits(51, 40, 64)
    with pytest.raises(JobError, match="is not the base's"):
        case.compare()


def test_heads_for_speculation_that_transformers_does_not_read_may_be_missing(case: Case) -> None:
    case.base["mtp.fc.weight"] = random_bits(7, 8, 8)
    assert case.compare().tensors == 6


@pytest.mark.parametrize("name", ["case", "faint"])
@pytest.mark.parametrize(("scale", "share"), [(0.0, "0.00"), (4.0, "2.00"), (1.0, "0.50"), (-2.0, "-1.00")])
def test_a_dropped_doubled_or_wrongly_scaled_adapter_is_named(
    request: pytest.FixtureRequest, name: str, scale: float, share: str
) -> None:
    case: Case = request.getfixturevalue(name)
    case.merge(Q, scale=scale)
    with pytest.raises(JobError, match=f"{Q} differs in .* times what the adapter adds$") as told:
        case.compare()
    assert UP not in str(told.value)
    if name == "case":
        assert f"it holds {share} times" in str(told.value)


def test_a_swapped_tensor_is_named(case: Case) -> None:
    other = Q.replace("q_proj", "o_proj")
    case.base[other] = case.merged[other] = random_bits(8, 64, 64)
    case.merged[Q], case.merged[other] = case.merged[other], case.merged[Q]
    with pytest.raises(JobError) as told:
        case.compare()
    assert f"{Q} differs" in str(told.value)
    assert f"{other} is not the base's, though the adapter leaves it alone" in str(told.value)


def test_a_missing_an_added_and_an_unknown_tensor_are_named(case: Case) -> None:
    del case.merged[NORM]
    case.merged["extra.weight"] = random_bits(9, 2)
    case.adapter["model.language_model.layers.9.mlp.up_proj.lora_A.weight"] = random_values(47, 2, 64)
    case.adapter["model.language_model.layers.9.mlp.up_proj.lora_B.weight"] = random_values(48, 96, 2)
    with pytest.raises(JobError) as told:
        case.compare()
    assert f"{NORM} is missing" in str(told.value)
    assert "extra.weight is in it, but not in the base" in str(told.value)
    assert "the adapter trained layers.9.mlp.up_proj.weight, which the base does not have" in str(told.value)


def test_one_value_that_is_one_unit_off_is_named_unless_the_sum_lies_between_the_two(faint: Case) -> None:
    exact = to_float32(faint.base[UP]).astype(np.float64) + 2.0 * faint.product(UP)
    offset = np.abs(exact - to_float32(faint.merged[UP]))
    clear = np.unravel_index(int(np.argmin(offset)), offset.shape)
    faint.merged[UP][clear] += 1
    with pytest.raises(JobError, match=f"{UP} differs in 1 of 6144 values, by up to 1 units"):
        faint.compare()


def test_where_the_sum_lies_between_two_either_is_right(case: Case) -> None:
    """1 + 2**-8 is as far from 1 as from the next bfloat16, 1 + 2**-7."""
    case.adapter = {name: values for name, values in case.adapter.items() if name.startswith(MODULE_Q)}
    case.merged[UP] = case.base[UP]
    case.base[Q] = np.full((64, 64), 0x3F80, dtype=np.uint16)
    case.adapter[f"{MODULE_Q}.lora_A.weight"] = np.full((2, 64), 2.0**-5, dtype=np.float32)
    case.adapter[f"{MODULE_Q}.lora_B.weight"] = np.full((64, 2), 2.0**-5, dtype=np.float32)
    case.merge(Q, scale=2.0)
    assert set(case.merged[Q].ravel().tolist()) == {0x3F80}
    case.merged[Q][3, 4:6] += 1
    report = case.compare()
    assert (report.largest_ulp, report.either_way) == (1, 2)
    assert "largest deviation 1 units in the last place of bfloat16, in 2 values" in str(report)


@pytest.mark.parametrize("name", [Q, NORM])
def test_values_that_are_no_numbers_are_named(case: Case, name: str) -> None:
    case.merged[name].ravel()[5] = 0x7FC0
    with pytest.raises(JobError, match=name):
        case.compare()


def test_an_untouched_tensor_that_changed_is_named_with_its_type_and_shape(case: Case) -> None:
    case.merged[NORM] = to_float32(case.base[NORM])
    case.merged[EMBED] = case.base[EMBED][:-1]
    case.merged["position_ids"] = case.base["position_ids"] + 1
    with pytest.raises(JobError) as told:
        case.compare()
    assert f"{NORM} is of type F32, not BF16" in str(told.value)
    assert f"{EMBED} has the shape (39, 64), not (40, 64)" in str(told.value)
    assert "position_ids is not the base's" in str(told.value)


def test_an_adapter_of_another_width_does_not_fit(case: Case) -> None:
    case.adapter[f"{MODULE_Q}.lora_A.weight"] = random_values(49, 2, 32)
    with pytest.raises(JobError, match=r"layers\.0\.self_attn\.q_proj of .* does not fit the base's \(64, 64\)"):
        case.compare()


def test_a_model_that_holds_a_tensor_under_two_names_is_refused(case: Case) -> None:
    case.base[NORM.replace("model.language_model.", "")] = case.base[NORM]
    with pytest.raises(JobError, match="cannot be told apart"):
        case.compare()


def test_a_large_tensor_is_read_a_few_rows_at_a_time(case: Case) -> None:
    case.base[EMBED] = case.merged[EMBED] = random_bits(50, 9000, 64)
    assert case.compare().tensors == 6
    case.merged[EMBED] = case.base[EMBED].copy()
    case.merged[EMBED][-1, -1] ^= 1
    with pytest.raises(JobError, match=f"{EMBED} is not the base's.*1 of"):
        case.compare()
