import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from films import shoot
from vigil.dataset.answers import label_of_answer
from vigil.dataset.build import BuildReport, BuildSettings, build_dataset
from vigil.dataset.examples import TrainingExample, read_splits, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.folder import dataset_digest_on_disk
from vigil.dataset.frame_files import MARKER_NAME
from vigil.dataset.splits import SplitSettings
from vigil.errors import DatasetError, UsageError
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.questions import load_question

FIGHT = load_question("fight")
SAMPLING = FrameSampling(max_pixels=12288)


def plan(clips: Path, out: Path, **more: object) -> BuildSettings:
    return replace(BuildSettings(clips=clips, out=out, task=FIGHT, extract=ExtractSettings(sampling=SAMPLING)), **more)


def examples_of(report: BuildReport) -> list[TrainingExample]:
    return [example for examples in report.examples.values() for example in examples]


def test_every_window_becomes_an_example_with_its_place_and_frames(clips: Path, tmp_path: Path) -> None:
    report = build_dataset(plan(clips, tmp_path))
    read = read_splits(tmp_path, FIGHT)
    assert read == report.examples
    long = [example for example in examples_of(report) if example.clip == "fight/fi0.mp4"]
    assert [(len(e.frames), e.start_s, e.end_s) for e in long] == [(6, 0.0, 2.5), (6, 1.5, 4.0)]
    assert len(set(long[0].frames) & set(long[1].frames)) == 3
    short = next(example for example in examples_of(report) if example.clip == "normal/no3.mp4")
    assert len(short.frames) == 4
    assert all((tmp_path / frame).is_file() for example in examples_of(report) for frame in example.frames)
    assert all(label_of_answer(example.answer, FIGHT) == example.label for example in examples_of(report))


def test_what_should_be_known_of_a_healthy_clip_is_a_note_of_the_build(clips: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clips, tmp_path / "clips")
    shoot(folder / "fight/raw.mjpeg", format="mjpeg", codec="mjpeg", pixels="yuvj420p", frames=50)
    report = build_dataset(plan(folder, tmp_path / "data"))
    assert any(note.startswith("fight/raw.mjpeg: ") and "is a guess" in note for note in report.notes)
    assert not report.damaged


def test_added_clips_are_for_training_only(clips: Path, tmp_path: Path) -> None:
    report = build_dataset(plan(clips, tmp_path, also=clips))
    added = {example.clip for example in report.examples["train"] if example.clip.startswith("also/")}
    tested = {example.clip for example in report.examples["test"]}
    assert len(added) == 16 - len(tested) and added.isdisjoint(f"also/{clip}" for clip in tested)
    assert not any(clip.startswith("also/") for clip in tested)
    note = next(note for note in report.notes if "--also" in note)
    assert note.startswith(f"{len(tested)} of 16 clips") and all(f"also/{clip}" in note for clip in tested)


def test_an_added_clip_that_looks_like_one_of_the_test_is_left_out(clips: Path, tmp_path: Path, draw_clip) -> None:
    more = tmp_path / "more"
    for number in range(8):
        draw_clip(more / f"fight/x{number}.mp4", scene=number, seed=200 + number)
    draw_clip(more / "normal/y.mp4", scene=60, seed=210)
    report = build_dataset(plan(clips, tmp_path / "data", also=more))
    scenes = {e.clip[-5] for e in report.examples["test"] if e.label == "alarm"}
    added = {e.clip for e in report.examples["train"] if e.clip.startswith("also/fight/")}
    assert added == {f"also/fight/x{number}.mp4" for number in range(8) if str(number) not in scenes}


def test_added_clips_of_one_told_recording_are_left_out_together(clips: Path, tmp_path: Path, draw_clip) -> None:
    more = tmp_path / "more"
    for number in range(8):
        draw_clip(more / f"fight/x{number}.mp4", scene=number, seed=200 + number)
    draw_clip(more / "normal/y.mp4", scene=60, seed=210)
    rows = [f"x{number},fight,one" for number in range(8)] + ["y,normal,other"]
    (more / "sources.csv").write_text("\n".join(["clip,label,source", *rows]))
    report = build_dataset(plan(clips, tmp_path / "data", also=more))
    assert {e.clip for e in report.examples["train"] if e.clip.startswith("also/")} == {"also/normal/y.mp4"}


def test_a_clip_that_the_csv_leaves_out_stays_with_its_look_alike(tmp_path: Path, clips: Path, draw_clip) -> None:
    named = shutil.copytree(clips, tmp_path / "clips")
    rows = [f"{kind}{n},{label},s{n}" for label, kind in (("fight", "fi"), ("normal", "no")) for n in range(8)]
    (named / "sources.csv").write_text("\n".join(["clip,label,source", *rows]))
    draw_clip(named / "fight/late.mp4", scene=1, seed=300)
    group = {e.clip: e.group for e in examples_of(build_dataset(plan(named, tmp_path / "data")))}
    assert group["fight/late.mp4"] == group["fight/fi1.mp4"] != group["fight/fi2.mp4"]


def test_the_manifest_and_the_registry_tell_what_training_needs(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    build_dataset(plan(clips, tmp_path))
    manifest = read_manifest(tmp_path)
    assert manifest.contract.sampling == SAMPLING
    assert len(manifest.data_digest) == 64
    entries = json.loads((tmp_path / "dataset_info.json").read_text())
    assert list(entries) == ["mine", "anomaly-train", "anomaly-test"]
    assert entries["anomaly-train"]["columns"] == {"messages": "messages", "videos": "videos"}


def test_a_second_build_cuts_nothing_and_gives_the_same_data(clips: Path, tmp_path: Path) -> None:
    first = build_dataset(plan(clips, tmp_path))
    before = split_path(tmp_path, "train").read_bytes()
    again = build_dataset(plan(clips, tmp_path))
    assert (first.num_cut, again.num_cut, again.num_kept) == (16, 0, 16)
    assert split_path(tmp_path, "train").read_bytes() == before
    assert again.manifest.data_digest == first.manifest.data_digest == dataset_digest_on_disk(tmp_path)


def test_a_build_that_fails_leaves_the_finished_dataset_as_it_was(clips: Path, tmp_path: Path) -> None:
    manifest = build_dataset(plan(clips, tmp_path)).manifest
    with pytest.raises(DatasetError, match="would hold no"):
        build_dataset(plan(clips, tmp_path, split=SplitSettings(folds=20, fold=19)))
    assert read_manifest(tmp_path) == manifest


def test_a_build_that_stops_after_it_cut_frames_anew_leaves_no_finished_dataset(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    with pytest.raises(DatasetError, match="would hold no"):
        other = ExtractSettings(sampling=FrameSampling(max_pixels=8192))
        build_dataset(plan(clips, tmp_path, extract=other, split=SplitSettings(folds=20, fold=19)))
    assert not (tmp_path / "vigil.json").exists()


def test_only_what_changed_or_was_left_unfinished_is_cut_again(clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    build_dataset(plan(clips, out))
    (out / "frames/alarm/fi1" / MARKER_NAME).unlink()
    (out / "frames/alarm/fi2/000-1.jpg").unlink()
    (out / "frames/normal/no2/000-0.jpg").write_bytes(b"broken")
    (out / "frames/normal/no3.partial").mkdir()
    again = build_dataset(plan(clips, out))
    assert again.num_cut == 3
    assert not list(out.rglob("*.partial"))
    assert (
        build_dataset(plan(clips, out, extract=ExtractSettings(sampling=FrameSampling(max_pixels=8192)))).num_cut == 16
    )


def test_processes_give_the_same_as_one(clips: Path, tmp_path: Path) -> None:
    one = build_dataset(plan(clips, tmp_path / "one", jobs=1))
    two = build_dataset(plan(clips, tmp_path / "two", jobs=2))
    assert one.manifest.data_digest == two.manifest.data_digest


def test_unreadable_clips_are_named_and_the_rest_is_built(clips: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(clips, tmp_path / "clips")
    (broken / "fight/empty.mp4").write_bytes(b"")
    (broken / "normal/noise.mp4").write_bytes(b"no video" * 99)
    report = build_dataset(plan(broken, tmp_path / "data"))
    assert set(report.unreadable) == {"fight/empty.mp4", "normal/noise.mp4"}
    assert "0 bytes" in report.unreadable["fight/empty.mp4"]
    assert len({example.clip for example in examples_of(report)}) == 16
    with pytest.raises(DatasetError, match="2 clips cannot be read"):
        build_dataset(plan(broken, tmp_path / "data", strict=True))
    assert (tmp_path / "data/vigil.json").exists()


def test_a_class_of_unreadable_clips_only_is_an_error(tmp_path: Path, draw_clip) -> None:
    draw_clip(tmp_path / "clips/fight/a.mp4")
    (tmp_path / "clips/normal").mkdir()
    (tmp_path / "clips/normal/b.mp4").write_bytes(b"")
    with pytest.raises(DatasetError, match="not one normal clip can be read"):
        build_dataset(plan(tmp_path / "clips", tmp_path / "data"))


def test_one_file_in_both_classes_is_an_error_and_a_copy_stays_in_one_split(tmp_path: Path, clips: Path) -> None:
    copies = shutil.copytree(clips, tmp_path / "clips")
    shutil.copy(copies / "fight/fi1.mp4", copies / "fight/copy.mp4")
    report = build_dataset(plan(copies, tmp_path / "data"))
    split = {example.clip: split for split, examples in report.examples.items() for example in examples}
    assert split["fight/copy.mp4"] == split["fight/fi1.mp4"]
    shutil.copy(copies / "fight/fi1.mp4", copies / "normal/copy.mp4")
    with pytest.raises(DatasetError, match="the same file, once alarm and once normal"):
        build_dataset(plan(copies, tmp_path / "data"))


def test_sources_beside_the_clips_group_them(tmp_path: Path, clips: Path) -> None:
    named = shutil.copytree(clips, tmp_path / "clips")
    rows = [f"{kind}{n},{label},s{n // 2}" for label, kind in (("fight", "fi"), ("normal", "no")) for n in range(8)]
    (named / "sources.csv").write_text("\n".join(["clip,label,source", *rows[:-1]]))
    report = build_dataset(plan(named, tmp_path / "data"))
    assert {example.group for example in examples_of(report)} == {"s0", "s1", "s2", "s3", "normal/no7.mp4"}
    assert "not in sources.csv" in report.notes[0]


def edit(out: Path, clip: str, **changes: object) -> None:
    for path in (split_path(out, "train"), split_path(out, "test")):
        rows = json.loads(path.read_text())
        for row in rows:
            if row["clip"] == clip:
                row["messages"][1]["content"] = changes.get("answer", row["messages"][1]["content"])
                row["described_by"] = changes.get("described_by", row["described_by"])
        path.write_text(json.dumps(rows, ensure_ascii=False))


def test_what_a_human_wrote_survives_another_build(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    edit(tmp_path, "fight/fi1.mp4", answer="是的，红衣男子先动手。")
    report = build_dataset(plan(clips, tmp_path, split=SplitSettings(seed=3)))
    kept = next(example for example in examples_of(report) if example.clip == "fight/fi1.mp4")
    assert (kept.answer, kept.described_by) == ("是的，红衣男子先动手。", "human")
    gone = build_dataset(
        plan(clips, tmp_path, extract=ExtractSettings(sampling=FrameSampling(fps=3, max_pixels=12288)))
    )
    assert any("written by hand" in note for note in gone.notes)
    assert "红衣男子" in (tmp_path / "answers-set-aside.json").read_text()


def test_a_damaged_registry_stops_the_build_before_any_work(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(DatasetError, match="not valid JSON"):
        build_dataset(plan(clips, tmp_path))
    assert not (tmp_path / "frames").exists()


def test_a_split_that_is_not_wanted_leaves_no_file(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    build_dataset(plan(clips, tmp_path, split=SplitSettings(test_share=0)))
    assert not split_path(tmp_path, "test").exists()
    assert "anomaly-test" not in json.loads((tmp_path / "dataset_info.json").read_text())


KINDS = {
    "as-is": {"window"},
    "crop": {"window", "crop"},
    "stretch": {"window", "stretch"},
    "both": {"window", "crop", "stretch"},
}


@pytest.mark.parametrize("policy", KINDS)
def test_policies_for_short_clips_add_to_training_only(clips: Path, tmp_path: Path, policy: str) -> None:
    report = build_dataset(plan(clips, tmp_path, extract=ExtractSettings(sampling=SAMPLING, short=policy)))
    assert {example.kind for example in report.examples["train"]} == KINDS[policy]
    assert {example.kind for example in report.examples["test"]} == {"window"}
    lengths = {"window": {4, 6}, "crop": {4}, "stretch": {6}}
    for example in report.examples["train"]:
        assert len(example.frames) in lengths[example.kind]
        assert len(example.frames) == len(set(example.frames))


def test_a_limit_takes_both_labels_alike(clips: Path, tmp_path: Path) -> None:
    report = build_dataset(plan(clips, tmp_path, limit=6, split=SplitSettings(test_share=0.34)))
    labels = {example.clip: example.label for example in examples_of(report)}
    assert sorted(labels.values()) == ["alarm"] * 3 + ["normal"] * 3
    with pytest.raises(UsageError):
        build_dataset(plan(clips, tmp_path, limit=1))


def test_a_full_disk_is_named_and_leaves_whole_clips_only(clips: Path, tmp_path: Path, monkeypatch) -> None:
    written: list[Path] = []
    write_bytes = Path.write_bytes

    def until_full(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) > 20:
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    with pytest.raises(DatasetError, match=r"the disk is full.*run the same command again"):
        build_dataset(plan(clips, tmp_path))
    monkeypatch.undo()
    assert all((folder / MARKER_NAME).is_file() for folder in tmp_path.glob("frames/*/*"))
    assert not (tmp_path / "vigil.json").exists()
    assert build_dataset(plan(clips, tmp_path)).num_kept > 0


def test_ctrl_c_leaves_whole_clips_only(clips: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, name: str) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_dataset(plan(clips, tmp_path, jobs=2), progress=stop)
    assert all((folder / MARKER_NAME).is_file() for folder in tmp_path.glob("frames/*/*"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frames"]


def test_wrong_paths_and_a_wrong_csv_are_told_before_any_work(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="is a file"):
        build_dataset(plan(clips, tmp_path / "file"))
    with pytest.raises(UsageError, match="there is no file"):
        build_dataset(plan(clips, tmp_path / "data", sources=tmp_path / "none.csv"))
    with pytest.raises(DatasetError, match="needs the columns"):
        build_dataset(plan(clips, tmp_path / "data", sources=tmp_path / "bad.csv"))
    assert not (tmp_path / "data").exists()
