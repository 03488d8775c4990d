"""What is served comes from the manifest, or from what the user says in its place."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model_folder import LORA_MODULE, WEIGHTS, contract, make_adapter, make_model
from tensors import flip_byte, random_values, write_adapter
from vigil.download.record import record_of
from vigil.errors import ManifestError, UsageError
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.models.base_model import base_digest, describe_base
from vigil.questions import load_question
from vigil.serving.command import ServePlan
from vigil.serving.plan import ContractOverrides, plan_server
from vigil.serving.settings import ServeSettings


def _plan(
    model: Path, overrides: ContractOverrides | None = None, *, name: str = "", adapters: tuple[str, ...] = ()
) -> ServePlan:
    run = model.parent / "run"
    return plan_server(
        model, settings=ServeSettings(), overrides=overrides, name=name, adapters=adapters, templates=run
    )


def test_a_manifest_is_enough(tmp_path: Path) -> None:
    plan = _plan(make_model(tmp_path / "fight", held=contract(max_pixels=65_536)))
    assert (plan.name, plan.sampling) == ("fight", FrameSampling(max_pixels=65_536))


def test_without_a_manifest_the_message_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"--task fight .*--no-manifest"):
        _plan(make_model(tmp_path / "base"))


def test_a_base_is_served_under_a_task_and_what_differs_from_the_defaults(tmp_path: Path) -> None:
    plan = _plan(make_model(tmp_path / "base"), ContractOverrides(task=load_question("fight"), max_pixels=12_288))
    assert plan.contract == contract(max_pixels=12_288)
    assert plan.names == ("base",)


def test_no_manifest_serves_without_a_contract(tmp_path: Path) -> None:
    plan = _plan(make_model(tmp_path / "base"), ContractOverrides(no_manifest=True, fps=5))
    assert (plan.names, plan.sampling.fps) == (("base",), 5)


def test_saying_otherwise_than_the_manifest_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract(fps=2))
    with pytest.raises(ManifestError, match=r"trained otherwise: fps is 4 here and 2.*--no-manifest"):
        _plan(model, ContractOverrides(fps=4))
    with pytest.raises(ManifestError, match="question"):
        _plan(model, ContractOverrides(task=load_question("fight_en")))
    assert _plan(model, ContractOverrides(fps=2)).sampling.fps == 2


def test_a_base_takes_the_contract_of_its_adapter(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", held=contract(fps=3))
    plan = _plan(make_model(tmp_path / "base"), adapters=(str(adapter),))
    assert (plan.sampling.fps, plan.adapters[0].name) == (3, "adapter")


def test_two_samplings_cannot_be_served_at_once(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract(fps=2))
    adapter = make_adapter(tmp_path / "adapter", held=contract(fps=3))
    with pytest.raises(ManifestError, match="cut differently"):
        _plan(model, adapters=(f"other={adapter}",))


def test_folders_that_are_no_models_are_told_apart(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter")
    empty = tmp_path / "empty"
    empty.mkdir()
    unweighted = make_model(tmp_path / "unweighted", held=contract())
    (unweighted / "model.safetensors").unlink()
    for folder, words in (
        (tmp_path / "nowhere", "there is no model folder"),
        (adapter, "is a LoRA adapter, not a model"),
        (empty, "it has no config.json"),
        (unweighted, "holds no weights"),
    ):
        with pytest.raises(UsageError, match=words):
            _plan(folder)


def test_weights_cut_short_are_told_before_vllm_is_started(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), make_adapter(tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").write_bytes(WEIGHTS[:-1])
    with pytest.raises(UsageError, match=r"damaged: .*adapter_model\.safetensors ends after"):
        _plan(model, adapters=(str(adapter),))
    (model / "model.safetensors").write_bytes(WEIGHTS[:20])
    with pytest.raises(UsageError, match=r"damaged: .*model\.safetensors .*download or export them again"):
        _plan(model)


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    (model / "vigil.json").write_text("{")
    with pytest.raises(ManifestError, match="cannot be read"):
        _plan(model)


@pytest.mark.parametrize("word", ["=x", "a b={}", "nothing-here"])
def test_words_that_name_no_adapter_are_refused(tmp_path: Path, word: str) -> None:
    adapter = make_adapter(tmp_path / "adapter")
    with pytest.raises(UsageError):
        _plan(make_model(tmp_path / "fight", held=contract()), adapters=(word.format(adapter),))


def test_names_must_differ_and_may_not_look_like_a_contract(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    adapter = make_adapter(tmp_path / "adapter")
    with pytest.raises(UsageError, match="different names"):
        _plan(model, adapters=(f"fight={adapter}",))
    with pytest.raises(UsageError, match="cannot be a model's name"):
        _plan(model, name="vigil-contract:fps=2")


def test_a_rank_above_vllms_is_told_before_it_is_started(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    big = make_adapter(tmp_path / "big", rank=1024)
    with pytest.raises(UsageError, match=rf"vLLM does not serve {big} as it is: rank 1024.*\./export\.sh {big}"):
        _plan(model, adapters=(str(big),))


def _vision_adapter(folder: Path) -> Path:
    adapter = make_adapter(folder)
    module = "model.visual.blocks.0.attn.qkv"
    tensors = {f"{module}.lora_A.weight": random_values(1, 2, 8), f"{module}.lora_B.weight": random_values(2, 8, 2)}
    return write_adapter(adapter, tensors)


def test_a_trained_vision_tower_is_not_left_out_in_silence(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), _vision_adapter(tmp_path / "seeing")
    with pytest.raises(UsageError, match=r"a trained vision tower \(1 modules.*Merge it with \./export\.sh"):
        _plan(model, adapters=(str(adapter),))


def test_a_trained_vision_tower_is_served_where_the_user_asks_vllm_for_it(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), _vision_adapter(tmp_path / "seeing")
    run = tmp_path / "run"
    flagged = {"settings": ServeSettings(), "extra": ("--enable-tower-connector-lora",)}
    set_so: dict[str, Any] = {"settings": ServeSettings(vllm={"enable_tower_connector_lora": True})}
    for words in (flagged, set_so):
        assert plan_server(model, adapters=(str(adapter),), templates=run, **words).adapters[0].rank == 2


def test_a_switch_that_is_turned_off_again_leaves_no_tower_out_and_runs_no_code(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), _vision_adapter(tmp_path / "seeing")
    settings = ServeSettings(vllm={"enable_tower_connector_lora": True})
    off = ("--no-enable-tower-connector-lora",)
    with pytest.raises(UsageError, match=r"a trained vision tower"):
        plan_server(model, settings=settings, adapters=(str(adapter),), templates=tmp_path / "run", extra=off)
    (model / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_x.X"}}')
    with pytest.raises(UsageError, match="code of its own"):
        plan_server(model, settings=settings, templates=tmp_path / "run", extra=("--no-trust-remote-code",))


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        ({}, ("--load-format", "npcache")),
        ({}, ("--load_format=pt",)),
        ({}, ("--load-form", "pt")),
        ({"load_format": "pt"}, ()),
    ],
)
def test_weights_that_can_run_code_are_not_loaded_beside_others_either(
    tmp_path: Path, settings: dict[str, Any], extra: tuple[str, ...]
) -> None:
    model, run = make_model(tmp_path / "fight", held=contract()), tmp_path / "run"
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UsageError, match=r"--load-format (pt|npcache) .*\.bin .*leave it out"):
        plan_server(model, settings=ServeSettings(vllm=settings), templates=run, extra=extra)
    safe = ("--load-format", "safetensors")
    assert plan_server(model, settings=ServeSettings(vllm=settings), templates=run, extra=safe).name == "fight"


def test_an_adapter_of_another_model_is_told_before_vllm_leaves_it_out(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), make_adapter(tmp_path / "other")
    module = "model.language_model.layers.7.self_attn.q_proj"
    tensors = {f"{module}.lora_A.weight": random_values(1, 2, 8), f"{module}.lora_B.weight": random_values(2, 8, 2)}
    write_adapter(adapter, tensors)
    with pytest.raises(
        UsageError, match=r"does not fit .*trained layers\.7\.self_attn\.q_proj\.weight, which the base"
    ):
        _plan(model, adapters=(str(adapter),))
    wide = {
        f"{LORA_MODULE}.lora_A.weight": random_values(1, 2, 9),
        f"{LORA_MODULE}.lora_B.weight": random_values(2, 8, 2),
    }
    write_adapter(adapter, wide)
    with pytest.raises(UsageError, match=r"of 8 x 9, and the base's is \(8, 8\)"):
        _plan(model, adapters=(str(adapter),))


def test_an_adapter_below_a_folder_with_an_equals_sign_is_found(tmp_path: Path) -> None:
    model, adapter = make_model(tmp_path / "fight", held=contract()), make_adapter(tmp_path / "rank=8" / "night")
    (served,) = _plan(model, adapters=(str(adapter),)).adapters
    assert (served.name, served.path) == ("night", adapter)
    (named,) = _plan(model, adapters=(f"n={adapter}",)).adapters
    assert (named.name, named.path) == ("n", adapter)


def test_what_lies_in_a_folder_that_is_not_to_be_loaded_is_told(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "modeling_x.X"}}))
    with pytest.raises(UsageError, match=r"program code of its own \(config\.json.*runs no code"):
        _plan(model)
    own = plan_server(model, settings=ServeSettings(), templates=tmp_path / "run", extra=("--trust-remote-code",))
    assert own.name == "fight"


def test_a_model_without_a_tokenizer_is_told_unless_it_lies_elsewhere(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    (model / "tokenizer.json").unlink()
    with pytest.raises(UsageError, match=r"has no tokenizer \(tokenizer\.json, or vocab\.json and merges\.txt"):
        _plan(model)
    other = plan_server(model, settings=ServeSettings(), templates=tmp_path / "run", extra=("--tokenizer", "elsewhere"))
    assert other.name == "fight"


def test_weights_that_can_run_code_are_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "fight", held=contract())
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"only as pytorch_model\.bin, which can run code"):
        _plan(model)
    assert not (tmp_path / "run").exists()


def trained_on(base: Path, adapter: Path) -> Path:
    """An adapter whose manifest tells that base."""
    make_adapter(adapter, held=contract())
    held = read_manifest(adapter)
    replace(held, base=describe_base(base), training={"base_digest": base_digest(base)}).write(adapter)
    return adapter


def keep_record(folder: Path) -> None:
    record_of(folder, model="Owner/m", source="modelscope", revision="v1", commit="", utc="2026").write(folder)


def test_an_adapter_on_its_own_base_is_served_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = make_model(tmp_path / "base")
    keep_record(base)
    _plan(base, adapters=(str(trained_on(base, tmp_path / "adapter")), str(make_adapter(tmp_path / "untold"))))
    assert caplog.messages == []


def test_an_adapter_on_another_base_is_served_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base, other = make_model(tmp_path / "base"), make_model(tmp_path / "other")
    keep_record(base)
    adapter = trained_on(base, tmp_path / "adapter")
    flip_byte(other / "model.safetensors", -1)
    with caplog.at_level(logging.WARNING):
        assert _plan(other, adapters=(str(adapter),)).adapters[0].name == "adapter"
    (message,) = caplog.messages
    assert message.startswith("adapter was trained on Owner/m at v1 from modelscope, and ") and "\n" not in message


def test_a_base_whose_download_tells_other_weights_gets_the_warning_without_being_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base, other = (make_model(tmp_path / name, table_rows=3 << 16) for name in ("base", "other"))
    flip_byte(other / "model.safetensors", 3 << 19)
    keep_record(other)
    adapter = trained_on(base, tmp_path / "adapter")
    assert base_digest(base) == base_digest(other)
    _plan(other, adapters=(str(adapter),))
    assert len(caplog.messages) == 1 and "is another model or has changed since" in caplog.messages[0]
