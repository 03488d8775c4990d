"""A training with a held-out split, through the real LLaMA-Factory: the best epoch is what is kept."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from made_dataset import make_dataset
from vigil.manifest import read_manifest
from vigil.tiny import BASE_FOLDER
from vigil.training import train

pytestmark = [pytest.mark.e2e, pytest.mark.long]

EPOCHS = 2
ADAPTER = "adapter_model.safetensors"


def words(folder: Path, *more: str) -> list[str]:
    """16 windows in batches of 8, two epochs."""
    return [
        f"model_name_or_path={BASE_FOLDER}",
        f"dataset_dir={folder / 'data'}",
        f"output_dir={folder / 'out'}",
        f"num_train_epochs={EPOCHS}",
        "per_device_train_batch_size=8",
        "learning_rate=0.03",
        "lr_scheduler_type=constant",
        "logging_steps=1",
        *more,
    ]


@dataclass(frozen=True, slots=True)
class Trained:
    """What the command left and said."""

    output: Path
    told: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("val")
    make_dataset(folder / "data", examples=16, val=8)
    _answer_otherwise(folder / "data" / "anomaly-val.json")
    command = [sys.executable, "-m", "vigil", "train", "tiny_lora", *words(folder, "report_to=tensorboard")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Trained(folder / "out", done.stdout)


def _answer_otherwise(val: Path) -> None:
    """Gives held-out windows answers that the training leads away from: the longer it goes on, the worse it gets."""
    rows = json.loads(val.read_text(encoding="utf-8"))
    for row in rows:
        row["messages"][1]["content"] = "0123456789"
    val.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def test_the_best_epoch_is_what_is_kept(trained: Trained) -> None:
    figures = read_manifest(trained.output).training
    losses = figures["val_losses"]
    assert len(losses) == EPOCHS and figures["steps"] == 2 * EPOCHS
    best = 2 * (1 + losses.index(min(losses)))
    assert (figures["best_step"], round(figures["best_val_loss"], 5)) == (best, min(losses))
    assert best < 2 * EPOCHS, f"{losses}: the last epoch was the best, so this shows nothing"
    kept = (trained.output / ADAPTER).read_bytes()
    assert kept == (trained.output / f"checkpoint-{best}" / ADAPTER).read_bytes()
    assert kept != (trained.output / f"checkpoint-{2 * EPOCHS}" / ADAPTER).read_bytes()


def test_both_losses_are_in_one_picture_whose_path_is_told(trained: Trained) -> None:
    picture = trained.output / "training_loss.png"
    assert f"loss curve: {picture}" in trained.told
    assert "val loss" in trained.told
    with Image.open(picture) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 20) or ()}
    assert {(0x1F, 0x77, 0xB4), (0xD6, 0x27, 0x28)} <= colours
    assert not (trained.output / "training_eval_loss.png").exists()


def test_tensorboard_gets_both_losses(trained: Trained) -> None:
    written = b"".join(path.read_bytes() for path in trained.output.rglob("events.out.tfevents.*"))
    assert b"train/loss" in written and b"eval/loss" in written


def test_a_training_goes_on_where_its_folder_was_moved_to_and_still_keeps_the_best(
    trained: Trained, tmp_path: Path
) -> None:
    """As if it had been stopped after its first epoch, which is the best: data, checkpoints and all lie elsewhere."""
    home = tmp_path / "elsewhere"
    shutil.move(trained.output.parent, home)
    assert train("tiny_lora", words(home)).already
    (home / "out" / "vigil.json").unlink()
    shutil.rmtree(home / "out" / f"checkpoint-{2 * EPOCHS}")
    outcome = train("tiny_lora", words(home))
    assert outcome.figures["resumed"]
    assert outcome.figures["best_step"] == 2 and outcome.figures["steps"] == 2 * EPOCHS
    assert (home / "out" / ADAPTER).read_bytes() == (home / "out" / "checkpoint-2" / ADAPTER).read_bytes()
