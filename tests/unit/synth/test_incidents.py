"""The drawn scenes of anomaly9: each class in its folder, varied, and told apart by what is in the picture."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vigil.cli.main import main
from vigil.dataset.clips import find_clips
from vigil.questions import load_question
from vigil.synth.camera_faults import FAULT_KINDS
from vigil.synth.clip import DrawnClip, draw_clip
from vigil.synth.dataset import plan_synth_dataset
from vigil.synth.incidents import ANOMALY_FOLDERS, NORMAL_SCENES, choose_scene, folder_of

NINE = load_question("anomaly9")
SMALL = (128, 96)


def scene(activity: str, seed: int = 3, **more: object) -> DrawnClip:
    return draw_clip(seed, fps=2, duration_s=3, size_wh=SMALL, activity=activity, scenes="anomaly9", **more)  # type: ignore[arg-type]


ACTIVITIES = [*(each for each in ANOMALY_FOLDERS if each not in ("fight", "device", "normal")), *NORMAL_SCENES]


@pytest.mark.parametrize("activity", [*ACTIVITIES, *FAULT_KINDS, "striking"])
def test_every_activity_is_drawn_for_many_seeds_and_has_a_folder(activity: str) -> None:
    for seed in range(12):
        clip = scene(activity, seed)
        assert clip.frames.shape == (6, 96, 128, 3) and clip.label == folder_of(activity)


def test_every_folder_is_one_that_the_task_knows_and_a_sound_has_none() -> None:
    known = {NINE.label_of(folder) for folder in ANOMALY_FOLDERS}
    assert known == set(NINE.words()) - {"异常声响"}


def test_the_same_seed_draws_the_same_incident_and_another_seed_another() -> None:
    assert np.array_equal(scene("smoke").frames, scene("smoke").frames)
    assert not np.array_equal(scene("smoke").frames, scene("smoke", 4).frames)


def test_a_climber_rises_and_a_passer_by_does_not() -> None:
    rises = [np.ptp(scene("climbing", seed).facts.joints[:, 0, 2, 1]) for seed in range(8)]
    passes = [np.ptp(scene("passing_fence", seed, difficulty=0.0).facts.joints[:, 0, 2, 1]) for seed in range(8)]
    assert np.median(rises) > 2 * np.median(passes)


def test_who_falls_stands_before_and_lies_after() -> None:
    for seed in range(8):
        lying = scene("fall", seed).facts.lying[:, 0]
        assert not lying[0] and lying[-1]


def test_loitering_is_at_night_and_night_is_no_alarm_by_itself() -> None:
    assert max(scene("loitering", seed).facts.light for seed in range(8)) <= 0.5
    assert folder_of("night_walk") == "normal" and max(scene("night_walk", n).facts.light for n in range(8)) <= 0.5


def test_a_faulty_camera_shows_less_than_a_sound_one() -> None:
    def detail(clip: DrawnClip) -> float:
        return float(np.abs(np.diff(clip.frames[0].astype(float), axis=1)).mean())

    sound = np.median([detail(scene("standing", seed, difficulty=0.0)) for seed in range(10)])
    for kind in ("covered", "defocused", "dazzled"):
        assert np.median([detail(scene(kind, seed, difficulty=0.0)) for seed in range(10)]) < sound


def test_a_plan_has_as_many_clips_of_each_class_and_twice_as_many_normal_ones() -> None:
    plans = plan_synth_dataset(clips=200, seed=1, fps=6, size_wh=SMALL, task="anomaly9")
    counts = {folder: sum(plan.label == folder for plan in plans) for folder in ANOMALY_FOLDERS}
    assert counts.pop("normal") == 40 and set(counts.values()) == {20}
    assert all(len({plan.label for plan in plans if plan.source == source}) > 2 for source in ("s000", "s010"))
    activities = {plan.activity for plan in plans if plan.label == "normal"}
    assert len(activities) > 8


def test_the_command_draws_a_folder_a_class_which_the_task_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "clips"
    words = ["synth", str(out), "--task", "anomaly9", "--fps", "4", "--width", "64", "--height", "64", "--jobs", "1"]
    assert main([*words, "--clips", "10"]) == 0
    assert "异常声响 is a sound" in capsys.readouterr().err
    found = find_clips(out, NINE)
    assert len(found.clips) == 10 and found.lacks == ("异常声响",)
    rows = list(csv.DictReader((out / "sources.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["label"] for row in rows} == set(ANOMALY_FOLDERS)
    assert main([*words, "--clips", "5"]) == 2
    assert "too few for the 9 classes" in capsys.readouterr().err
    assert main(["synth", str(out), "--clips", "10"]) == 2
    assert "task anomaly9, not fight" in capsys.readouterr().err


def test_scenes_are_chosen_from_their_class() -> None:
    rng = np.random.default_rng(0)
    for folder in ANOMALY_FOLDERS:
        assert {folder_of(choose_scene(rng, folder=folder)) for _ in range(30)} == {folder}
