"""The held-out split in a training: what LLaMA-Factory is told of it, and what is shown of it afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_dataset import make_dataset
from vigil.environments import Environment
from vigil.errors import ConfigError, DatasetError, EnvironmentMissing
from vigil.training import plan_training
from vigil.training.config import check_loggers, load_training_config
from vigil.training.data import read_training_data
from vigil.training.learning_curve import CURVE_NAME, VAL_CURVE_NAME, LearningCurve
from vigil.training.llamafactory import TrainerLog


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data"), examples=16, val=4)


def settings_of(data: Path, *words: str) -> dict[str, object]:
    return plan_training("tiny_lora", [f"dataset_dir={data}", *words]).settings


def test_a_val_split_is_evaluated_each_epoch_and_the_best_is_kept(data: Path) -> None:
    settings = settings_of(data)
    assert settings["eval_dataset"] == "anomaly-val"
    assert (settings["eval_strategy"], settings["save_strategy"]) == ("epoch", "epoch")
    assert settings["load_best_model_at_end"] is True
    assert (settings["metric_for_best_model"], settings["greater_is_better"]) == ("eval_loss", False)
    assert settings["per_device_eval_batch_size"] == settings["per_device_train_batch_size"]


def test_val_examples_are_not_counted_as_training(data: Path) -> None:
    plan = plan_training("tiny_lora", [f"dataset_dir={data}"])
    assert (plan.dataset.examples, plan.dataset.evaluated_examples, plan.schedule.examples) == (16, 4, 16)


def test_a_dataset_without_val_trains_as_before(tmp_path: Path) -> None:
    settings = settings_of(make_dataset(tmp_path / "old"))
    assert not {"eval_dataset", "eval_strategy", "load_best_model_at_end"} & settings.keys()


@pytest.mark.parametrize("words", [["eval_strategy=no"], ["val_size=0.2"], ["dataset=anomaly-train,anomaly-val"]])
def test_whoever_says_otherwise_is_not_given_an_evaluation(data: Path, words: list[str]) -> None:
    assert "eval_dataset" not in settings_of(data, *words)


def test_saving_by_steps_evaluates_by_steps_so_that_the_best_was_saved(data: Path) -> None:
    settings = settings_of(data, "save_strategy=steps", "save_steps=7")
    assert (settings["eval_strategy"], settings["eval_steps"]) == ("steps", 7)
    assert settings["load_best_model_at_end"]


def test_where_nothing_is_saved_nothing_is_kept_as_the_best(data: Path) -> None:
    settings = settings_of(data, "save_strategy=no")
    assert (settings["eval_strategy"], settings["save_strategy"]) == ("epoch", "no")
    assert "load_best_model_at_end" not in settings


def test_the_no_of_yaml_is_a_word() -> None:
    assert load_training_config("tiny_lora", ["eval_strategy=no"])["eval_strategy"] == "no"


@pytest.mark.parametrize("word", ["eval_strategy=epoch", "load_best_model_at_end=true"])
def test_an_evaluation_on_nothing_is_refused_before_it_starts(tmp_path: Path, word: str) -> None:
    with pytest.raises(ConfigError, match="has no val split; build it with --val-share"):
        settings_of(make_dataset(tmp_path / "old"), word)


def test_a_frame_that_val_lacks_is_told_before_it_starts(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", examples=2, val=2)
    frame = json.loads((data / "anomaly-val.json").read_text())[0]["videos"][0][0]
    (data / frame).unlink()
    with pytest.raises(DatasetError, match="1 of 24 frames are missing"):
        read_training_data(data, ["anomaly-train"])


def test_an_empty_val_split_is_told_and_one_of_ones_own_is_taken(tmp_path: Path, data: Path) -> None:
    other = make_dataset(tmp_path / "data", examples=2, val=2)
    assert read_training_data(other, ["anomaly-val"], evaluated=["anomaly-train"]).evaluated == ("anomaly-train",)
    (other / "anomaly-val.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"anomaly-val in .* holds no example"):
        read_training_data(other, ["anomaly-train"])


def write_state(folder: Path, *, best: str | None) -> None:
    history = [{"step": 1, "loss": 2.0}, {"step": 2, "eval_loss": 1.5}, {"step": 3, "loss": 1.0}]
    history += [{"step": 4, "eval_loss": 1.75}, {"step": 4, "loss": 0.9}]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history, "best_model_checkpoint": best}))


def test_both_losses_are_in_one_picture_in_place_of_two(tmp_path: Path) -> None:
    write_state(tmp_path, best="/elsewhere/checkpoint-2")
    for name in (CURVE_NAME, VAL_CURVE_NAME):
        Image.new("RGB", (10, 10)).save(tmp_path / name)
    curve = LearningCurve.of(tmp_path)
    curve.replace_pictures(tmp_path)
    assert curve.train == ((1, 2.0), (3, 1.0), (4, 0.9)) and curve.val == ((2, 1.5), (4, 1.75))
    assert curve.figures() == {"val_losses": [1.5, 1.75], "best_step": 2, "best_val_loss": 1.5}
    assert not (tmp_path / VAL_CURVE_NAME).exists()
    with Image.open(tmp_path / CURVE_NAME) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or ()}
    assert {(0x1F, 0x77, 0xB4), (0xD6, 0x27, 0x28)} <= colours


def test_a_val_loss_that_rises_again_is_seen_under_a_first_loss_many_times_as_high(tmp_path: Path) -> None:
    curve = LearningCurve(train=((1, 4.0), (2, 0.3), (3, 0.02), (4, 0.0)), val=((2, 0.06), (3, 0.02), (4, 0.04)))
    with Image.open(curve.draw(tmp_path / "curve.png")) as picture:
        is_red = (np.asarray(picture.convert("RGB")) == (0xD6, 0x27, 0x28)).all(axis=2)
    second, third, last = (np.flatnonzero(is_red[:, x - 5 : x + 5].any(axis=1)).mean() for x in (335, 567, 800))
    assert third > second + 40 and third > last + 20


def test_a_training_without_val_has_a_curve_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "loss": 2.0}]}))
    curve = LearningCurve.of(tmp_path)
    assert (curve.figures(), curve.best_step) == ({}, None)
    curve.replace_pictures(tmp_path)
    assert (tmp_path / CURVE_NAME).is_file()


def test_a_folder_without_a_state_has_no_curve(tmp_path: Path) -> None:
    LearningCurve.of(tmp_path).replace_pictures(tmp_path)
    assert not list(tmp_path.iterdir())


def test_progress_tells_the_val_loss(tmp_path: Path) -> None:
    log = tmp_path / "trainer_log.jsonl"
    log.write_text('{"current_steps": 2, "total_steps": 4, "eval_loss": 0.5, "epoch": 1.0}\n')
    (progress,) = TrainerLog(log, from_start=True).read_new()
    assert "val loss 0.5000" in str(progress)


def test_a_logger_that_is_not_installed_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    installed = tmp_path / "lib" / "python3.11" / "site-packages" / "tensorboard-2.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: tensorboard\nVersion: 2.0\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    trainer = Environment("train", tmp_path)
    for settings in ({"report_to": "tensorboard"}, {"report_to": "none"}, {"report_to": ["tensorboard"]}, {}):
        check_loggers(settings, trainer)
    for settings in ({"report_to": ["wandb", "tensorboard"]}, {"report_to": "wandb"}):
        with pytest.raises(EnvironmentMissing, match="wandb is not installed"):
            check_loggers(settings, trainer)
    with pytest.raises(EnvironmentMissing, match="swanlab is not installed"):
        check_loggers({"report_to": "none", "use_swanlab": True}, trainer)


@pytest.mark.parametrize("words", [["report_to=wandb"], ["use_swanlab=true", "swanlab_mode=local"]])
def test_loggers_are_passed_on_as_they_are_named(data: Path, words: list[str]) -> None:
    settings = settings_of(data, *words)
    assert {key: str(settings[key]).lower() for key, _, _ in (word.partition("=") for word in words)} == dict(
        word.split("=") for word in words
    )


def test_the_clips_that_a_model_meets_are_told_by_split(data: Path) -> None:
    used = read_training_data(data, ["anomaly-train"]).clips_used
    assert {split: len(each.recordings) for split, each in used.items()} == {"train": 16, "val": 4, "test": 0}
    assert used["train"].digests and used["val"].digests and not used["test"].digests


def test_the_score_is_of_clips_that_the_manifest_tells_too(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", examples=6, val=4)
    (data / "anomaly-val.json").rename(data / "anomaly-test.json")
    used = read_training_data(data, ["anomaly-train"], evaluated=[]).clips_used
    assert len(used["test"].recordings) == 4 and not used["val"].recordings
