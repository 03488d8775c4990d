"""A training whose folders lie elsewhere by now: what is compared, and what the trainer must be told."""

import json
import shutil
from pathlib import Path

import pytest

from vigil.errors import JobError, UsageError
from vigil.training.lineage import named_digests
from vigil.training.output import RunRecord, prepare_output, write_run_record


def run_in(root: Path, *, data: str = "d", base: str = "b", media: str = "data") -> RunRecord:
    """The settings of a training in a checkout at `root`, with the digests of what they name."""
    settings = {
        "learning_rate": 1e-3,
        "model_name_or_path": str(root / "models" / "base"),
        "dataset_dir": str(root / "data"),
        "media_dir": str(root / media),
        "deepspeed": str(root / "z2.json"),
        "adapter_name_or_path": str(root / "first"),
        "output_dir": str(root / "out"),
    }
    return RunRecord(settings=settings, data_digest=data, base_digest=base, digests=named_digests(settings))


def checkout(root: Path) -> Path:
    (root / "first").mkdir(parents=True)
    (root / "first" / "adapter_model.safetensors").write_bytes(b"weights")
    (root / "z2.json").write_text("{}")
    write_run_record(root / "out", run_in(root))
    return root


def checkpoint(root: Path, step: int, *, best: str | None) -> Path:
    folder = root / "out" / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": best, "global_step": step}))
    return folder


def moved(root: Path, to: Path) -> Path:
    shutil.move(root, to)
    return to


def test_a_stopped_training_goes_on_where_its_checkout_was_moved_to(tmp_path: Path) -> None:
    root = checkout(tmp_path / "before")
    checkpoint(root, 2, best=str(root / "out" / "checkpoint-2"))
    checkpoint(root, 4, best=str(root / "out" / "checkpoint-2"))
    after = moved(root, tmp_path / "after")
    start = prepare_output(after / "out", run_in(after), fresh=False)
    assert start.checkpoint == after / "out" / "checkpoint-4"
    state = json.loads((start.checkpoint / "trainer_state.json").read_text())
    assert state == {"best_model_checkpoint": str(after / "out" / "checkpoint-2"), "global_step": 4}


def test_a_finished_training_is_finished_at_its_new_place(tmp_path: Path) -> None:
    root = checkout(tmp_path / "before")
    (root / "out" / "vigil.json").write_text("{}")
    after = moved(root, tmp_path / "mount")
    assert prepare_output(after / "out", run_in(after), fresh=False).finished


@pytest.mark.parametrize(
    ("now", "said"),
    [({"data": "other"}, "the dataset has changed"), ({"base": "other"}, "the base model has changed"),
     ({"media": "elsewhere"}, "media_dir was")],
)  # fmt: skip
def test_other_contents_at_the_new_place_are_refused(tmp_path: Path, now: dict[str, str], said: str) -> None:
    after = moved(checkout(tmp_path / "before"), tmp_path / "after")
    with pytest.raises(UsageError, match=said):
        prepare_output(after / "out", run_in(after, **now), fresh=False)


@pytest.mark.parametrize("name", ["z2.json", "first/adapter_model.safetensors"])
def test_files_that_settings_name_are_compared_by_what_they_hold(tmp_path: Path, name: str) -> None:
    root = checkout(tmp_path / "here")
    assert prepare_output(root / "out", run_in(root), fresh=False).checkpoint is None
    (root / name).write_text("other")
    with pytest.raises(UsageError, match="names has changed"):
        prepare_output(root / "out", run_in(root), fresh=False)


def test_a_training_from_before_there_were_digests_is_compared_by_its_paths(tmp_path: Path) -> None:
    root = checkout(tmp_path / "here")
    old = json.loads((root / "out" / "vigil-run.json").read_text())
    del old["digests"]
    (root / "out" / "vigil-run.json").write_text(json.dumps(old))
    assert not prepare_output(root / "out", run_in(root), fresh=False).finished
    with pytest.raises(UsageError, match="deepspeed was"):
        prepare_output(root / "out", run_in(tmp_path / "other"), fresh=False)


def test_a_damaged_checkpoint_says_what_to_remove(tmp_path: Path) -> None:
    root = checkout(tmp_path / "here")
    (checkpoint(root, 2, best=None) / "trainer_state.json").write_text("{")
    with pytest.raises(JobError, match="checkpoint-2 to resume from the one before"):
        prepare_output(root / "out", run_in(root), fresh=False)
