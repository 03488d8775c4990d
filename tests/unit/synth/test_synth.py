"""Drawn clips: reproducible, of both labels, and readable as a data set."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import av
import numpy as np
import pytest

from vigil.errors import UsageError
from vigil.synth.actors import FIGHT_ACTIVITIES, NORMAL_ACTIVITIES
from vigil.synth.clip import draw_clip
from vigil.synth.dataset import plan_synth_dataset, write_synth_dataset

SMALL = (128, 96)


def test_the_same_seed_draws_the_same_clip() -> None:
    first = draw_clip(5, fps=4, duration_s=1, size_wh=SMALL)
    again = draw_clip(5, fps=4, duration_s=1, size_wh=SMALL)
    assert np.array_equal(first.frames, again.frames)
    assert first.label == again.label


def test_another_seed_draws_another_clip() -> None:
    assert not np.array_equal(
        draw_clip(5, fps=2, duration_s=1, size_wh=SMALL).frames, draw_clip(6, fps=2, duration_s=1, size_wh=SMALL).frames
    )


def test_a_clip_is_the_same_event_at_any_frame_rate() -> None:
    slow = draw_clip(8, fps=2, duration_s=2, size_wh=SMALL, activity="striking")
    fast = draw_clip(8, fps=10, duration_s=2, size_wh=SMALL, activity="striking")
    assert np.allclose(slow.facts.joints, fast.facts.joints[::5], atol=0.02)


@pytest.mark.parametrize("activity", FIGHT_ACTIVITIES + NORMAL_ACTIVITIES)
def test_every_activity_draws_frames_and_facts_that_belong_together(activity: str) -> None:
    clip = draw_clip(3, fps=2, duration_s=3, size_wh=SMALL, activity=activity)
    assert clip.frames.shape == (6, 96, 128, 3)
    assert clip.label == ("fight" if activity in FIGHT_ACTIVITIES else "normal")
    assert clip.facts.joints.shape[:2] == (6, len(clip.facts.behaviours))
    assert len(clip.times_s) == 6


def test_both_labels_come_up_about_equally_often() -> None:
    labels = [draw_clip(seed, fps=2, duration_s=0.5, size_wh=SMALL).label for seed in range(60)]
    assert 18 <= labels.count("fight") <= 42


def test_a_place_without_people_changes_less_than_a_fight() -> None:
    def change(activity: str) -> float:
        frames = draw_clip(4, fps=2, size_wh=SMALL, activity=activity, difficulty=0.0).frames
        return float(np.abs(np.diff(frames.astype(float), axis=0)).mean())

    assert change("empty") < change("wrestling")


def test_a_plan_gives_every_source_both_labels() -> None:
    labels: dict[str, set[str]] = defaultdict(set)
    for plan in plan_synth_dataset(clips=24, seed=1, fps=12, size_wh=SMALL):
        labels[plan.source].add(plan.label)
    assert set(map(frozenset, labels.values())) == {frozenset({"fight", "normal"})}


def test_a_written_data_set_is_readable_and_its_sources_name_every_clip(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write_synth_dataset(tmp_path, clips=6, seed=3, size_wh=SMALL, workers=1, progress=lambda *done: told.append(done))
    rows = list(csv.DictReader((tmp_path / "sources.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["label"] for row in rows].count("fight") == 3
    for row in rows:
        with av.open(str(tmp_path / row["label"] / f"{row['clip']}.mp4")) as container:
            frames = sum(1 for _ in container.decode(video=0))
        assert frames >= 24
    assert told[-1] == (6, 6)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_second_run_writes_only_what_is_missing(tmp_path: Path) -> None:
    write_synth_dataset(tmp_path, clips=4, seed=3, size_wh=SMALL, workers=1)
    clips = sorted(tmp_path.rglob("*.mp4"))
    clips[0].unlink()
    before = clips[1].stat().st_mtime_ns
    write_synth_dataset(tmp_path, clips=4, seed=3, size_wh=SMALL, workers=1)
    assert clips[0].exists()
    assert clips[1].stat().st_mtime_ns == before


def sources(folder: Path) -> set[str]:
    rows = csv.DictReader((folder / "sources.csv").read_text(encoding="utf-8").splitlines())
    return {f"{row['label']}/{row['clip']}.mp4" for row in rows}


def test_other_settings_are_refused_and_drawn_anew_when_told(tmp_path: Path) -> None:
    write_synth_dataset(tmp_path, clips=4, seed=3, size_wh=SMALL, workers=1)
    before = (tmp_path / "fight/fi0001.mp4").read_bytes()
    with pytest.raises(UsageError, match=r"seed 3, not 4; difficulty .*--fresh"):
        write_synth_dataset(tmp_path, clips=4, seed=4, size_wh=SMALL, difficulty=1.0, workers=1)
    (tmp_path / "fight/mine.mp4").touch()
    assert write_synth_dataset(tmp_path, clips=2, seed=4, size_wh=SMALL, workers=1, fresh=True) == 2
    assert (tmp_path / "fight/fi0001.mp4").read_bytes() != before
    assert {path.name for path in tmp_path.rglob("*.mp4")} == {"fi0001.mp4", "no0001.mp4", "mine.mp4"}


@pytest.mark.parametrize("name", ["sources.csv", "fight/fi0001.mp4", "normal/no12345.mp4"])
@pytest.mark.parametrize("fresh", [True, False])
def test_clips_of_somebodys_are_neither_overwritten_nor_deleted(tmp_path: Path, name: str, fresh: bool) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match=f"{path.name} was not written by vigil synth"):
        write_synth_dataset(tmp_path, clips=2, seed=3, size_wh=SMALL, workers=1, fresh=fresh)
    assert path.read_text() == "mine" and [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


@pytest.mark.parametrize("fresh", [True, False])
def test_rows_of_other_clips_stay_in_the_list_of_sources(tmp_path: Path, fresh: bool) -> None:
    write_synth_dataset(tmp_path, clips=2, seed=3, size_wh=SMALL, workers=1)
    with (tmp_path / "sources.csv").open("a") as file:
        file.write("mine,fight,gate 3\n")
    write_synth_dataset(tmp_path, clips=4, seed=3, size_wh=SMALL, workers=1, fresh=fresh)
    assert "fight/mine.mp4" in sources(tmp_path) and len(sources(tmp_path)) == 5


def test_fewer_clips_leave_the_rows_of_those_that_remain(tmp_path: Path) -> None:
    write_synth_dataset(tmp_path, clips=6, seed=3, size_wh=SMALL, workers=1)
    before = sources(tmp_path)
    assert write_synth_dataset(tmp_path, clips=2, seed=3, size_wh=SMALL, workers=1) == 6
    assert sources(tmp_path) == before == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.mp4")}


def test_an_interrupt_ends_the_writing_and_leaves_only_whole_clips(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synth_dataset(tmp_path, clips=400, seed=3, size_wh=SMALL, workers=1, progress=interrupt)
    assert len(list(tmp_path.rglob("*.mp4"))) < 400
    assert not list(tmp_path.rglob("*.partial"))
