"""What export looks at before it merges, and which adapter it takes."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from made_dataset import SAMPLING
from model_folder import WEIGHTS
from vigil.base_model import base_digest, describe_base
from vigil.cli import main
from vigil.errors import EnvironmentMissing, JobError, ManifestError, UsageError
from vigil.export import adapter_digest, export, newest_adapter, plan_export
from vigil.manifest import Calibration, Contract, Manifest, read_manifest
from vigil.tasks import load_task


def make_base(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def make_adapter(folder: Path, base: Path, *, age_s: float = 0.0, finished: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    (folder / "adapter_model.safetensors").write_bytes(b"a")
    if not finished:
        return folder
    manifest = Manifest(
        contract=Contract.of(load_task("fight"), SAMPLING),
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
    (base / "model.safetensors").write_bytes(WEIGHTS.replace(b"F32", b"I32"))
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
    assert plan_export(adapter, out=out, force=True).out == out


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
    (adapter / "adapter_model.safetensors").write_bytes(b"trained again")
    with pytest.raises(UsageError, match="--force"):
        plan_export(adapter, out=out)


CHECK = {"tolerance": 0.08, "rounding": 0.02, "adapter_effect": 3.0, "kl": 0.0, "same_top_token": True}
CHECK |= {"p_alarm_adapter": 0.5, "p_alarm_merged": 0.5}


@pytest.mark.parametrize(("difference", "code"), [(0.01, 0), (0.5, 1)])
def test_what_was_merged_unchecked_is_checked_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, difference: float, code: int
) -> None:
    adapter = make_adapter(tmp_path / "first", make_base(tmp_path / "base"))
    out = make_base(tmp_path / "out")
    manifest = read_manifest(adapter)
    manifest.training["merged"] = {"adapter_digest": adapter_digest(adapter), "checked": False}
    replace(manifest, calibration=Calibration(temperature=2.0, bias=0.5)).write(out)
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho '{json.dumps(CHECK | {'max_logit_difference': difference})}'\n")
    python.chmod(0o755)
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", str(python))
    assert main(["export", str(adapter), "--out", str(out), "--no-check"]) == 0
    assert not plan_export(adapter, out=out).checked
    assert main(["export", str(adapter), "--out", str(out)]) == code
    assert plan_export(adapter, out=out).checked == (code == 0)
    assert read_manifest(out).calibration == Calibration(temperature=2.0, bias=0.5)


def test_a_base_that_changed_in_its_middle_is_refused_before_the_merge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = make_base(tmp_path / "base")
    long = WEIGHTS + bytes(3 << 20)
    (base / "model.safetensors").write_bytes(long)
    adapter = make_adapter(tmp_path / "saves" / "first", base)
    replace(read_manifest(adapter), base=describe_base(base)).write(adapter)
    (base / "model.safetensors").write_bytes(long[: 1 << 21] + b"\x01" + long[(1 << 21) + 1 :])
    monkeypatch.setenv("VIGIL_TRAIN_PYTHON", "/bin/false")
    plan = plan_export(adapter, out=tmp_path / "out")
    with pytest.raises(JobError, match=r"is not the one this adapter was trained on \(base; its weights have changed"):
        export(plan)
    assert not (tmp_path / "out").exists()
