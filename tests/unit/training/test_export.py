"""What export looks at before it merges, and which adapter it takes."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_dataset import SAMPLING
from tensors import (
    Array,
    flip_byte,
    merged_bits,
    random_bits,
    random_values,
    write_adapter,
    write_model,
    write_tensors,
)
from vigil.cli.main import main
from vigil.errors import EnvironmentMissing, JobError, ManifestError, UsageError
from vigil.manifest import Calibration, Contract, Manifest, read_manifest
from vigil.models.base_model import base_digest, describe_base
from vigil.questions import load_question
from vigil.training.export import adapter_digest, export_model, newest_adapter, plan_export

MODULE = "model.language_model.layers.0.self_attn.q_proj"
LORA = {f"{MODULE}.lora_A.weight": random_values(1, 2, 8), f"{MODULE}.lora_B.weight": random_values(2, 8, 2)}


def make_base(folder: Path, *, table_rows: int = 9) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    table = "model.language_model.embed_tokens.weight"
    tensors = {f"{MODULE}.weight": random_bits(3, 8, 8), table: random_bits(4, table_rows, 8)}
    write_tensors(folder / "model.safetensors", tensors)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def make_adapter(folder: Path, base: Path, *, age_s: float = 0.0, finished: bool = True) -> Path:
    write_adapter(folder, LORA, base_model_name_or_path=str(base))
    if not finished:
        return folder
    manifest = Manifest(
        contract=Contract.of(load_question("fight"), SAMPLING),
        base_model="models/base",
        template="qwen3_vl_nothink",
        training={"base_digest": base_digest(base)},
    )
    written = manifest.write(folder)
    time_s = written.stat().st_mtime - age_s
    os.utime(written, (time_s, time_s))
    return folder


def test_the_newest_finished_adapter_is_taken(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    make_adapter(tmp_path / "saves" / "old", base, age_s=100)
    new = make_adapter(tmp_path / "outputs" / "new", base)
    make_adapter(tmp_path / "saves" / "unfinished", base, finished=False)
    assert newest_adapter([tmp_path / "saves", tmp_path / "outputs"]) == new


def test_without_an_adapter_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"saves.*train\.sh"):
        newest_adapter([tmp_path / "saves"])
    make_adapter(tmp_path / "saves" / "unfinished", make_base(tmp_path / "base"), finished=False)
    with pytest.raises(UsageError, match="1 unfinished"):
        newest_adapter([tmp_path / "saves"])


def test_a_plan_names_base_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "saves" / "first", base)
    monkeypatch.chdir(tmp_path)
    plan = plan_export(adapter)
    assert (plan.base, plan.out, plan.done) == (base, Path("models/first"), False)


def test_a_checkpoint_takes_the_manifest_of_its_training(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "saves" / "first", base)
    checkpoint = make_adapter(adapter / "checkpoint-50", base, finished=False)
    assert plan_export(checkpoint, out=tmp_path / "out").manifest.base_model == "models/base"


def test_an_adapter_without_a_manifest_is_refused(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "foreign", make_base(tmp_path / "base"), finished=False)
    with pytest.raises(ManifestError, match=r"vigil\.json"):
        plan_export(adapter, out=tmp_path / "out")


def test_a_folder_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no adapter"):
        plan_export(tmp_path)


def test_a_base_that_has_changed_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    write_tensors(base / "model.safetensors", {f"{MODULE}.weight": random_bits(5, 8, 8)})
    with pytest.raises(JobError, match="not the one this adapter was trained on"):
        plan_export(adapter, out=tmp_path / "out")


def test_a_base_that_is_gone_is_named(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "first", make_base(tmp_path / "base"))
    (tmp_path / "base" / "config.json").unlink()
    with pytest.raises(EnvironmentMissing, match="models/base"):
        plan_export(adapter, out=tmp_path / "out")


def test_a_model_is_replaced_only_when_told(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    out = make_base(tmp_path / "out")
    with pytest.raises(UsageError, match="--force"):
        plan_export(adapter, out=out)
    (out / "vigil.json").write_bytes((adapter / "vigil.json").read_bytes())
    assert plan_export(adapter, out=out, force=True).out == out


@pytest.mark.parametrize("name", ["out", "out.old", "out.partial"])
def test_a_model_that_no_export_wrote_is_never_replaced_nor_deleted(tmp_path: Path, name: str) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    theirs = make_base(tmp_path / name)
    with pytest.raises(UsageError, match=f"{name} was not written by an export"):
        plan_export(adapter, out=tmp_path / "out", force=True)
    assert (theirs / "config.json").is_file()


def test_a_file_is_no_place_for_a_model(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "first", make_base(tmp_path / "base"))
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match=r"out is a file; name a folder"):
        plan_export(adapter, out=tmp_path / "out")


def test_a_folder_that_holds_no_model_is_never_replaced(tmp_path: Path) -> None:
    adapter = make_adapter(tmp_path / "first", make_base(tmp_path / "base"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").touch()
    with pytest.raises(UsageError, match="holds no model"):
        plan_export(adapter, out=tmp_path / "home", force=True)


def test_the_same_adapter_is_not_merged_twice(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    out = make_base(tmp_path / "out")
    manifest = read_manifest(adapter)
    manifest.training["merged"] = {"adapter_digest": adapter_digest(adapter), "checked": True}
    manifest.write(out)
    assert plan_export(adapter, out=out).done
    assert not plan_export(adapter, out=out).checked, "the check of older versions compared no weights"
    write_tensors(adapter / "adapter_model.safetensors", {name: values * 2 for name, values in LORA.items()})
    with pytest.raises(UsageError, match="--force"):
        plan_export(adapter, out=out)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A base, an adapter and a model that --no-check gave its name, whose manifest was written to since."""
    weight = f"{MODULE}.weight"
    base = write_model(tmp_path / "base", {weight: random_bits(3, 8, 8)})
    out = write_model(tmp_path / "out", {weight: merged_bits(random_bits(3, 8, 8), _product(), 2.0)})
    (base / "tokenizer.json").write_text("{}")
    adapter = make_adapter(tmp_path / "adapter", base)
    manifest = read_manifest(adapter)
    manifest.training["merged"] = {"adapter_digest": adapter_digest(adapter), "checked": False}
    replace(manifest, calibration=Calibration(temperature=2.0, bias=0.5)).write(out)
    return tmp_path


def _product() -> Array:
    return LORA[f"{MODULE}.lora_B.weight"].astype(np.float64) @ LORA[f"{MODULE}.lora_A.weight"]


def _trainer_that_says(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    python = folder / "env" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", str(python))


def _export(folder: Path, *words: str) -> int:
    return main(["export", str(folder / "adapter"), "--out", str(folder / "out"), *words])


def _answer(outcome: str) -> str:
    return f"echo '{json.dumps({'outcome': outcome, 'words': 'as told'})}'"


def test_what_was_merged_unchecked_is_checked_when_asked_for(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _trainer_that_says(monkeypatch, merged, _answer("passed"))
    assert _export(merged, "--no-check") == 0
    assert not plan_export(merged / "adapter", out=merged / "out").checked
    assert _export(merged) == 0
    assert plan_export(merged / "adapter", out=merged / "out").checked
    found = read_manifest(merged / "out")
    assert found.calibration == Calibration(temperature=2.0, bias=0.5)
    noted = found.training["merged"]
    assert (noted["tensors"], noted["adapted"], noted["largest_ulp"]) == (1, 1, 0)
    assert noted["moved"] > 0
    assert noted["smoke"] == {"outcome": "passed", "words": "as told"}


def test_a_model_that_is_not_base_plus_adapter_is_told_and_stays_unchecked(
    merged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _trainer_that_says(monkeypatch, merged, _answer("passed"))
    write_model(merged / "out", {f"{MODULE}.weight": random_bits(3, 8, 8)})
    assert _export(merged) == 1
    assert f"{MODULE}.weight differs in" in capsys.readouterr().err.replace("\n", " ")
    assert not plan_export(merged / "adapter", out=merged / "out").checked


@pytest.mark.parametrize(
    ("script", "code", "outcome"),
    [
        (_answer("skipped"), 0, "skipped"),
        ("kill -9 $$", 0, "skipped"),
        (_answer("failed"), 1, "failed"),
        ("echo ImportError: no torch >&2; exit 1", 1, "failed"),
    ],
)
def test_a_smoke_test_that_is_skipped_or_fails_never_takes_a_right_merge_away(
    merged: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: int, outcome: str
) -> None:
    _trainer_that_says(monkeypatch, merged, script)
    assert _export(merged) == code
    assert (merged / "out" / "model.safetensors").is_file()
    noted = read_manifest(merged / "out").training["merged"]
    assert (noted["checked"], noted["smoke"]["outcome"]) == (True, outcome)
    assert plan_export(merged / "adapter", out=merged / "out").checked == (code == 0)


def test_an_adapter_of_another_base_is_told_before_peft_passes_it_over(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    other = {name.replace("layers.0", "layers.9"): values for name, values in LORA.items()}
    write_adapter(adapter, other, base_model_name_or_path=str(base))
    with pytest.raises(
        UsageError, match=r"does not fit .*trained layers\.9\.self_attn\.q_proj\.weight, which .*--base"
    ):
        plan_export(adapter, out=tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"init_lora_weights": "pissa"}, "nobody could say whether a merge of .* is right: a start of the kind pissa"),
        ({"peft_type": "OFT"}, "nobody could say whether a merge of .* is right: an adapter of the kind OFT"),
    ],
)
def test_an_adapter_whose_merge_nobody_can_prove_is_refused_unless_unchecked(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    write_adapter(adapter, LORA, base_model_name_or_path=str(base), **settings)
    with pytest.raises(UsageError, match=words):
        plan_export(adapter, out=tmp_path / "out")
    assert plan_export(adapter, out=tmp_path / "out", check=False).unservable


def test_a_lora_on_a_table_that_is_also_the_head_is_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    (base / "config.json").write_text(json.dumps({"text_config": {"tie_word_embeddings": True}}))
    adapter = make_adapter(tmp_path / "first", base)
    table = "model.language_model.embed_tokens"
    tensors = {f"{table}.lora_embedding_A": random_values(1, 2, 9), f"{table}.lora_embedding_B": random_values(2, 8, 2)}
    write_adapter(adapter, tensors, base_model_name_or_path=str(base))
    with pytest.raises(UsageError, match="cannot be merged: a LoRA on the token table, which this base shares"):
        plan_export(adapter, out=tmp_path / "out", check=False)


def test_what_vllm_would_not_serve_unmerged_is_told_before_the_merge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    write_adapter(adapter, LORA, base_model_name_or_path=str(base), use_dora=True)
    assert main(["export", str(adapter), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"vLLM cannot serve {adapter} unmerged (DoRA); merged, it can" in said


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda base: (base / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda base: (base / "model.safetensors").rename(base / "pytorch_model.bin"), "only as pytorch_model"),
        (lambda base: (base / "config.json").write_text('{"auto_map": {"AutoModel": "x.X"}}'), "code of its own"),
        (lambda base: (base / "config.json").write_text("[]"), "cannot be read"),
        (lambda base: (base / "config.json").write_text('{"vision_config": {}}'), "nothing says how they are prepared"),
    ],
)
def test_a_base_that_cannot_be_loaded_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], object], words: str
) -> None:
    base = make_base(tmp_path / "base")
    adapter = make_adapter(tmp_path / "first", base)
    spoil(base)
    assert main(["export", str(adapter), "--out", str(tmp_path / "out")]) == 1
    assert words in capsys.readouterr().err.replace("\n", " ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "first"]


def test_a_base_that_changed_in_its_middle_is_refused_before_the_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base(tmp_path / "base", table_rows=3 << 16)
    adapter = make_adapter(tmp_path / "saves" / "first", base)
    replace(read_manifest(adapter), base=describe_base(base)).write(adapter)
    flip_byte(base / "model.safetensors", 3 << 19)
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", "/bin/false")
    plan = plan_export(adapter, out=tmp_path / "out")
    with pytest.raises(JobError, match=r"is not the one this adapter was trained on \(base; its weights have changed"):
        export_model(plan)
    assert not (tmp_path / "out").exists()
