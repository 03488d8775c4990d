"""A finished training that is to go on: what the refusal says, and what the next manifest tells."""

from dataclasses import replace
from pathlib import Path

import pytest

from made_dataset import make_dataset
from vigil.errors import UsageError
from vigil.manifest import read_manifest
from vigil.training.data import TrainingData, read_training_data
from vigil.training.lineage import lineage
from vigil.training.output import RunRecord, prepare_output, write_run_record

RUN = RunRecord(settings={"num_train_epochs": 2}, data_digest="d", base_digest="b")


@pytest.mark.parametrize(
    "more", [replace(RUN, settings={"num_train_epochs": 4}), replace(RUN, data_digest="twenty more clips")]
)
def test_a_finished_training_with_other_settings_says_how_its_adapter_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: RunRecord
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "saves" / "night #3"
    write_run_record(folder, RUN)
    (folder / "vigil.json").write_text("{}")
    assert prepare_output(folder, RUN, fresh=False).finished
    with pytest.raises(UsageError) as refused:
        prepare_output(folder, more, fresh=False)
    assert "'adapter_name_or_path=saves/night #3' 'output_dir=saves/night #3-2'" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_an_unfinished_training_with_other_settings_has_no_adapter_to_go_on_from(tmp_path: Path) -> None:
    write_run_record(tmp_path / "a", RUN)
    with pytest.raises(UsageError, match="use the old settings to resume") as refused:
        prepare_output(tmp_path / "a", replace(RUN, data_digest="other"), fresh=False)
    assert "adapter_name_or_path" not in str(refused.value)


def trained(folder: Path, dataset: TrainingData, **settings: str) -> Path:
    """A folder as a finished training leaves it, as far as its manifest and the adapter's digest go."""
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(folder.name.encode())
    told = {"dataset_dir": str(dataset.folder), "dataset": "anomaly-train", **settings}
    manifest = replace(dataset.manifest, training={"steps": 3, **lineage(told, dataset)}, created_utc="2026-11-20")
    manifest.write(folder)
    return folder


def test_the_next_manifest_names_every_dataset_and_the_adapter_it_began_from(tmp_path: Path) -> None:
    first, second = (
        read_training_data(make_dataset(tmp_path / name, examples=count), ["anomaly-train"])
        for name, count in (("data", 8), ("more", 12))
    )
    one = trained(tmp_path / "one", first)
    two = trained(tmp_path / "two", second, adapter_name_or_path=str(one))
    three = trained(tmp_path / "three", second, adapter_name_or_path=str(two / "checkpoint-3"))
    told = read_manifest(two).training
    assert [(each["folder"], each["names"], each["examples"]) for each in told["datasets"]] == [
        ("data", ["anomaly-train"], 8),
        ("more", ["anomaly-train"], 12),
    ]
    assert [each["digest"] for each in told["datasets"]] == [
        first.manifest.data_digest,
        second.manifest.data_digest,
    ]
    assert told["began_from"]["adapter"] == "one" and told["began_from"]["steps"] == 3
    assert len(told["began_from"]["digest"]) == 64 and "began_from" not in read_manifest(one).training
    last = read_manifest(three).training
    assert len(last["datasets"]) == 3 and last["began_from"]["began_from"]["adapter"] == "one"


def test_an_adapter_of_strangers_is_named_all_the_same(tmp_path: Path) -> None:
    dataset = read_training_data(make_dataset(tmp_path / "data", examples=8), ["anomaly-train"])
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "adapter_config.json").write_text("{}")
    told = lineage(
        {"dataset_dir": "data", "dataset": "anomaly-train", "adapter_name_or_path": str(tmp_path / "theirs")}, dataset
    )
    assert told["began_from"]["adapter"] == "theirs" and len(told["datasets"]) == 1
