"""Datasets of a task with several labels: a folder a class, and what is said of missing and of mixed classes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vigil.cli.dataset_report import meaning_of
from vigil.dataset.build import BuildReport, BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.clips import find_clips
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.splits import SplitSettings
from vigil.errors import ConfigError, DatasetError, UsageError
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.questions import Label, Question, load_question, read_question

NINE = load_question("anomaly9")
FOLDERS = {"climbing": "周界翻越", "烟雾": "烟雾", "Fall-s": "跌倒", "normal": "正常"}


@pytest.fixture(scope="module")
def classes(draw_clip: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six clips of each of four classes, each of a scene of its own, in folders of both languages."""
    folder = tmp_path_factory.mktemp("classes")
    for kind, name in enumerate(FOLDERS):
        for number in range(6):
            draw_clip(folder / f"{name}/{number}.mp4", scene=10 * kind + number, seed=10 * kind + number)
    return folder


@pytest.fixture(scope="module")
def built(classes: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildReport:
    return build_dataset(settings(classes, tmp_path_factory.mktemp("data") / "data"))


def settings(clips: Path, out: Path, **more: object) -> BuildSettings:
    extract = ExtractSettings(sampling=FrameSampling(fps=2.0, frames=4, max_pixels=12_288))
    split = SplitSettings(test_share=0.34, val_share=0, calibration_share=0)
    return BuildSettings(clips=clips, out=out, task=NINE, extract=extract, split=split, **more)  # type: ignore[arg-type]


def rows_of(report: BuildReport, split: str) -> list[dict[str, object]]:
    return json.loads((report.out / f"anomaly-{split}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_each_answer_bears_the_word_of_its_class_and_each_split_holds_every_class(built: BuildReport) -> None:
    for split in ("train", "test"):
        rows = rows_of(built, split)
        assert {row["label"] for row in rows} == set(FOLDERS.values())
        for row in rows:
            assert row["messages"][1]["content"] == f"{row['label']}。"  # type: ignore[index]
            assert row["messages"][0]["content"] == f"<video>{NINE.text}"  # type: ignore[index]


def test_the_contract_names_all_ten_labels_and_gives_the_question_back(built: BuildReport) -> None:
    contract = read_manifest(built.out).contract
    assert [label.word for label in contract.labels] == list(NINE.words().values())
    assert contract.as_question() == NINE
    assert contract.alarm_words == tuple(map(NINE.word, NINE.alarm_labels)) and contract.normal_words == ("正常",)


def test_classes_without_clips_are_named_with_their_folders(built: BuildReport) -> None:
    (note,) = [note for note in built.notes if note.startswith("no clips of")]
    assert "禁区闯入, 夜间徘徊, 剧烈冲突, 危险工具, 异常声响, 设备异常:" in note and "sound, noise" in note
    assert built.labels == ["周界翻越", "跌倒", "烟雾", "正常"]


def test_a_check_counts_the_classes_and_warns_of_those_that_training_lacks(built: BuildReport) -> None:
    found = check_dataset(built.out)
    assert found.errors == ()
    assert any("holds no 禁区闯入, " in finding.what for finding in found.findings)
    assert found.splits["train"].classes == dict.fromkeys(FOLDERS.values(), 4)
    assert (found.splits["train"].alarm, found.splits["train"].normal) == (12, 4)


def test_an_answer_of_another_class_than_its_label_is_an_error(classes: Path, tmp_path: Path) -> None:
    report = build_dataset(settings(classes, tmp_path / "data"))
    rows = rows_of(report, "train")
    rows[0]["messages"][1]["content"] = "烟雾。" if rows[0]["label"] != "烟雾" else "跌倒。"  # type: ignore[index]
    (report.out / "anomaly-train.json").write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert any("another class than the label" in finding.what for finding in check_dataset(report.out).errors)


def test_a_limit_takes_as_many_of_each_class(classes: Path, tmp_path: Path) -> None:
    report = build_dataset(settings(classes, tmp_path / "data", limit=12))
    rows = [*rows_of(report, "train"), *rows_of(report, "test")]
    clips = {(row["label"], row["clip"]) for row in rows}
    assert sorted(label for label, _ in clips) == sorted(3 * [*FOLDERS.values()])  # type: ignore[type-var]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_a_clip_in_folders_of_two_classes_is_refused_unless_one_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "smoke/fall/a.mp4", "smoke/b.mp4", "normal/c.mp4")
    with pytest.raises(DatasetError, match=r"folders of two classes, smoke/ \(烟雾\) and fall/ \(跌倒\)"):
        find_clips(tmp_path, NINE)
    found = find_clips(tmp_path, NINE, meanings={"fall": "skip"}).clips
    assert [clip.name for clip in found] == ["normal/c.mp4", "smoke/b.mp4"]


def test_alarms_alone_and_normal_clips_alone_teach_nothing(tmp_path: Path) -> None:
    touch(tmp_path / "alarms", "smoke/a.mp4", "fall/b.mp4")
    with pytest.raises(DatasetError, match=r"no 正常 clips.*normal, none, noalarm, 正常"):
        find_clips(tmp_path / "alarms", NINE)
    touch(tmp_path / "quiet", "normal/a.mp4")
    with pytest.raises(DatasetError, match="no 周界翻越 clips"):
        find_clips(tmp_path / "quiet", NINE)


def test_an_unknown_folder_is_told_with_all_that_are_known(tmp_path: Path) -> None:
    touch(tmp_path, "smoke/a.mp4", "normal/b.mp4", "kissing/c.mp4")
    with pytest.raises(DatasetError, match=r"kissing \(1 clips\).*as 烟雾: smoke, fire.*--label FOLDER=LABEL"):
        find_clips(tmp_path, NINE)
    assert len(find_clips(tmp_path, NINE, meanings={"kissing": "正常"}).clips) == 3


def test_the_label_option_takes_a_class_of_the_task_and_nothing_else() -> None:
    assert meaning_of("x=烟雾", NINE) == ("x", "烟雾")
    assert meaning_of("x=skip", NINE) == ("x", "skip")
    with pytest.raises(UsageError, match=r"write FOLDER=周界翻越, .*FOLDER=正常 or FOLDER=skip"):
        meaning_of("x=alarm", NINE)


def test_a_folder_of_two_classes_in_the_task_file_is_refused(tmp_path: Path) -> None:
    labels = (
        Label(name="fall", word="Falling", is_alarm=True, folders=("down",)),
        Label(name="smoke", word="Smoke", is_alarm=True, folders=("Fall",)),
        Label(name="normal", word="Normal"),
    )
    with pytest.raises(ConfigError, match="folder 'fall' is listed for several labels"):
        Question(name="yard", text="What happens?", labels=labels)


def test_a_question_without_labels_has_no_dataset(tmp_path: Path) -> None:
    task = read_question(Path("configs/tasks/describe.yaml"))
    with pytest.raises(UsageError, match="has no labels; datasets and scores need them"):
        find_clips(tmp_path, task)
