from pathlib import Path

import numpy as np
import pytest

from vigil.dataset.clips import LabelledClip
from vigil.dataset.groups import group_by_appearance, group_by_csv, merge_identical, recording_prefix
from vigil.dataset.similar_clips import fingerprint, similar_clips
from vigil.errors import DatasetError
from vigil.questions import load_question

FIGHT = load_question("fight")


def clip(name: str) -> LabelledClip:
    label = "alarm" if name.startswith("fight") else "normal"
    return LabelledClip(path=Path(name), name=name, label=label, slug=Path(name).stem)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_rows_name_clips_by_stem_file_or_path_and_by_class_where_stems_repeat(tmp_path: Path) -> None:
    csv = write(tmp_path / "s.csv", "clip,label,source\na,fight,s1\na,normal,s2\nfight/b.mp4,,s3\nc.mp4,normal,s4\n")
    clips = [clip(name) for name in ("fight/a.mp4", "normal/a.mp4", "fight/b.mp4", "normal/c.mp4", "normal/d.mp4")]
    assert group_by_csv(clips, csv, FIGHT) == {
        "fight/a.mp4": "s1",
        "normal/a.mp4": "s2",
        "fight/b.mp4": "s3",
        "normal/c.mp4": "s4",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_csv_is_read_as_spreadsheets_of_any_country_leave_it(tmp_path: Path, encoding: str, mark: str) -> None:
    rows = [["Clip ", '"Label"', "SOURCE", ""], ["夜里", "打架", "机位一"], ["b.mp4", "", "s2", "a remark"]]
    path = tmp_path / "s.csv"
    path.write_text("\r\n".join(mark.join(row) for row in rows), encoding=encoding)
    clips = [clip("fight/夜里.mp4"), clip("normal/b.mp4")]
    assert group_by_csv(clips, path, FIGHT) == {"fight/夜里.mp4": "机位一", "normal/b.mp4": "s2"}


@pytest.mark.parametrize("data", [b"\xff\xfec\x00l\x00", b"clip,source\na,\xff\n", b"\x89PNG\r\n\x1a\n\x00\xe9"])
def test_a_csv_in_another_encoding_is_told_on_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.csv").write_bytes(data)
    with pytest.raises(DatasetError, match="is not UTF-8 text; save it as CSV in UTF-8"):
        group_by_csv([clip("fight/a.mp4")], tmp_path / "s.csv", FIGHT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,group\na,b\n", "needs the columns"),
        ("clip,label,source\na,fight,\n", "line 2"),
        ("clip,source\nelsewhere,s1\n", "names none of the 1 clips"),
        ("", "needs the columns"),
    ],
)
def test_a_csv_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        group_by_csv([clip("fight/a.mp4")], write(tmp_path / "s.csv", text), FIGHT)


@pytest.mark.parametrize(
    ("stem", "prefix"),
    [
        ("b1HoOg_0", "b1hoog"),
        ("cam3-part2", "cam3"),
        ("Lobby (12)", "lobby"),
        ("fi001", None),
        ("0_1", "0"),
        ("_1", None),
    ],
)
def test_the_prefix_of_a_recording_is_what_stands_before_the_last_number(stem: str, prefix: str | None) -> None:
    assert recording_prefix(stem) == prefix


def test_names_join_clips_unless_all_clips_count_that_way() -> None:
    rwf = [clip(f"fight/{video}_{part}.avi") for video in "abcdefgh" for part in range(2)]
    assert len(set(group_by_appearance(rwf, {}, {}).values())) == 8
    counted = [clip(f"{folder}/V_{number}.mp4") for folder in ("fight", "normal") for number in range(8)]
    assert len(set(group_by_appearance(counted, {}, {}).values())) == 16


def scene(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), np.uint8))


def test_clips_of_one_scene_look_alike_and_others_do_not() -> None:
    person = scene(1)
    person[40:70, 50:62] = 240
    prints = {
        "a": fingerprint([scene(1)]),
        "b": fingerprint([scene(7), person, scene(8)]),
        "c": fingerprint([scene(2), scene(3)]),
        "none": fingerprint([]),
    }
    assert list(similar_clips(prints)) == [("a", "b")]
    assert list(similar_clips({})) == []


def test_copies_of_a_file_join_their_groups() -> None:
    groups = {"a": "s1", "b": "s2", "c": "s3"}
    joined = merge_identical(groups, {"a": "same", "b": "other", "c": "same"})
    assert joined["a"] == joined["c"] != joined["b"]


def test_clips_numbered_in_a_row_with_a_format_of_their_own_are_of_one_recording() -> None:
    clips = [clip(f"fight/fi{number}.mp4") for number in range(12)]
    formats = {each.name: f"{number // 3}x" for number, each in enumerate(clips)}
    groups = group_by_appearance(clips, {}, formats)
    assert len(set(groups.values())) == 4
    assert groups["fight/fi9.mp4"] == groups["fight/fi10.mp4"] == groups["fight/fi11.mp4"]


def test_a_set_of_one_format_tells_nothing_by_its_numbers() -> None:
    clips = [clip(f"fight/fi{number}.mp4") for number in range(12)]
    assert (
        len(set(group_by_appearance(clips, {}, dict.fromkeys((each.name for each in clips), "224x224@30")).values()))
        == 12
    )
