import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from vigil.cli.main import main
from vigil.dataset import sharegpt
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.examples import TrainingExample, read_splits, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.dataset.import_sharegpt import REFUSED_NAME, ImportPlan, ImportReport, RowsRefused, import_dataset
from vigil.errors import DatasetError, UsageError
from vigil.frames import FrameSampling
from vigil.manifest import read_manifest
from vigil.questions import load_question

FIGHT = load_question("fight")
EXTRACT = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
ASKED = f"<video>{FIGHT.text}"

Json = dict[str, Any]


def row(video: Any, answer: Any, *, asked: str = ASKED, **more: Any) -> Json:
    said = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": said, "videos": [video]} | more


def words_of(clip: str) -> str:
    label = "alarm" if clip.startswith("fight") else "normal"
    return f"{FIGHT.word(label)}，这里是{Path(clip).stem}。"


@pytest.fixture
def blog(clips: Path, tmp_path: Path) -> Path:
    """A folder as people have it: their clips, and nothing else yet."""
    return shutil.copytree(clips, tmp_path / "blog")


def rows_of(folder: Path) -> list[Json]:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mp4"))
    return [row(name, words_of(name)) for name in names]


def put(folder: Path, rows: Sequence[Any], *, name: str = "anomaly-train.json", **how: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(list(rows), ensure_ascii=False), encoding=how.get("encoding", "utf-8"))
    return path


def imported(file: Path, out: Path, *, task: Any = FIGHT, answers: Any = "auto", **more: Any) -> ImportReport:
    build = BuildSettings(
        clips=file.parent, out=out, task=task, extract=EXTRACT, answers=answers, **more.pop("build", {})
    )
    return import_dataset(ImportPlan(file=file, build=build, **more))


def examples_in(folder: Path) -> list[TrainingExample]:
    return [example for examples in read_splits(folder, FIGHT).values() for example in examples]


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def reasons(file: Path, out: Path, **more: Any) -> list[str]:
    with pytest.raises(RowsRefused) as refused:
        imported(file, out, **more)
    assert not out.exists() and "\n" not in str(refused.value)
    return [str(each) for each in refused.value.refused]


def test_every_answer_is_kept_for_the_windows_of_its_clip_and_nothing_given_is_touched(
    blog: Path, tmp_path: Path
) -> None:
    file = put(blog, rows_of(blog))
    (blog / "dataset_info.json").write_text(
        json.dumps({"anomaly-train": {"file_name": file.name, "formatting": "sharegpt"}})
    )
    before = digests(blog)
    report = imported(file, tmp_path / "data")
    examples = examples_in(tmp_path / "data")
    assert {example.clip: example.answer for example in examples} == {e.clip: words_of(e.clip) for e in examples}
    assert len({example.clip for example in examples}) == 16 and not report.refused
    assert len([e for e in examples if e.clip == "fight/fi0.mp4"]) == 2
    assert {example.described_by for example in examples} == {"human:anomaly-train.json"}
    assert digests(blog) == before
    checked = check_dataset(tmp_path / "data")
    assert not checked.errors and set(checked.splits["train"].words) == {"human"}
    assert read_manifest(tmp_path / "data").contract.answers == "words"
    groups = {split: {e.group for e in found} for split, found in read_splits(tmp_path / "data", FIGHT).items()}
    assert groups["train"] and groups["test"] and not groups["train"] & groups["test"]


def test_the_recordings_that_a_csv_beside_the_clips_names_stay_whole(blog: Path, tmp_path: Path) -> None:
    told = [f"{kind}{n},{label},s{n // 2}" for label, kind in (("fight", "fi"), ("normal", "no")) for n in range(8)]
    (blog / "sources.csv").write_text("\n".join(["clip,label,source", *told]))
    report = imported(put(blog, rows_of(blog)), tmp_path / "data")
    assert report.built.grouped_by == "sources.csv"


def test_an_import_of_enough_clips_holds_out_a_val_split_of_other_recordings(
    draw_clip: Callable[..., Path], tmp_path: Path
) -> None:
    names = [f"{folder}/{n}.mp4" for folder in ("fight", "normal") for n in range(50)]
    for number, name in enumerate(names):
        draw_clip(tmp_path / "blog" / name, scene=number, seed=number)
    told = ["clip,label,source", *(f"{name},{name.split('/')[0]},{name}" for name in names)]
    (tmp_path / "blog/sources.csv").write_text("\n".join(told))
    report = imported(put(tmp_path / "blog", rows_of(tmp_path / "blog")), tmp_path / "data")
    groups = {split: {e.group for e in found} for split, found in read_splits(tmp_path / "data", FIGHT).items()}
    assert [len(groups[split]) for split in ("train", "val", "test")] == [60, 10, 30]
    assert len(set.union(*groups.values())) == 100
    assert {e.described_by for e in report.built.examples["val"]} == {"human:anomaly-train.json"}
    assert "anomaly-val" in json.loads((tmp_path / "data/dataset_info.json").read_text())


def test_the_val_share_of_an_import_can_be_said(blog: Path, tmp_path: Path) -> None:
    words = ["dataset", "import", str(put(blog, rows_of(blog))), "--out", str(tmp_path / "data"), "--jobs", "1"]
    assert main([*words, "--max-pixels", "12288", "--val-share", "0.3"]) == 0
    held = {split: {e.label for e in found} for split, found in read_splits(tmp_path / "data", FIGHT).items() if found}
    assert held == {split: {"alarm", "normal"} for split in ("train", "val", "test")}


def test_what_is_built_again_keeps_edits_of_the_dataset_and_takes_new_words_of_the_file(
    blog: Path, tmp_path: Path
) -> None:
    out, rows = tmp_path / "data", rows_of(blog)
    imported(put(blog, rows), out)
    path = split_path(out, "train")
    held = json.loads(path.read_text(encoding="utf-8"))
    edited, renewed = held[0]["clip"], held[-1]["clip"]
    held[0]["messages"][1]["content"] += "手改。"
    path.write_text(json.dumps(held), encoding="utf-8")
    for each in rows:
        if each["videos"] == [renewed]:
            each["messages"][1]["content"] += "新写。"
    report = imported(put(blog, rows), out)
    answers = {example.clip: example.answer for example in read_splits(out, FIGHT)["train"] if example.window == 0}
    assert (answers[edited], answers[renewed]) == (words_of(edited) + "手改。", words_of(renewed) + "新写。")
    assert (report.built.num_cut, report.built.num_kept) == (0, 16)


def test_stock_sentences_and_bare_verdicts_count_as_nobodys_words(blog: Path, tmp_path: Path) -> None:
    rows = rows_of(blog)
    for each in rows:
        word = each["messages"][1]["content"][:2]
        sentence = (FIGHT.label("alarm").descriptions if word == "是的" else FIGHT.label("normal").descriptions)[1]
        each["messages"][1]["content"] = f"{word}，{sentence}" if each["videos"][0].endswith("0.mp4") else word
    report = imported(put(blog, rows), tmp_path / "data")
    assert {example.answer for example in examples_in(tmp_path / "data")} == {"是的。", "没有。"}
    assert any(note.startswith("2 answers are sentences of the task fight") for note in report.built.notes)
    assert read_manifest(tmp_path / "data").contract.answers == "verdict"


def test_a_question_of_their_own_becomes_the_contracts(blog: Path, tmp_path: Path) -> None:
    own = "这段监控里有没有人打架？有就答“是的”，没有就答“没有”。"
    file = put(
        blog,
        [row(each["videos"][0], each["messages"][1]["content"], asked=f"<video>\n{own}") for each in rows_of(blog)],
    )
    report = imported(file, tmp_path / "data")
    assert read_manifest(tmp_path / "data").contract.question == own
    assert not check_dataset(tmp_path / "data").errors
    assert any("the question of anomaly-train.json is kept" in note for note in report.built.notes)
    imported(file, tmp_path / "other", question="task")
    assert read_manifest(tmp_path / "other").contract.question == FIGHT.text


def as_conversations(each: Json) -> Json:
    said = [
        {"from": {"user": "human", "assistant": "gpt"}[turn["role"]], "value": turn["content"]}
        for turn in each["messages"]
    ]
    return {"conversations": said, "videos": each["videos"]}


def as_named(each: Json) -> Json:
    said = [{"wer": {"user": "U", "assistant": "A"}[turn["role"]], "was": turn["content"]} for turn in each["messages"]]
    return {"talk": [{"wer": "S", "was": "be brief"}, *said], "films": each["videos"][0]}


NAMED = {
    "columns": {"messages": "talk", "videos": "films"},
    "tags": {"role_tag": "wer", "content_tag": "was", "user_tag": "U", "assistant_tag": "A", "system_tag": "S"},
}


@pytest.mark.parametrize(
    ("shape", "entry"),
    [(as_conversations, None), (as_conversations, {"columns": {}}), (as_named, NAMED)],
    ids=["guessed", "defaults", "named"],
)
def test_columns_and_tags_are_what_llamafactory_allows(
    blog: Path, tmp_path: Path, shape: Callable[[Json], Json], entry: Json | None
) -> None:
    file = put(blog, map(shape, rows_of(blog)), name="mine.json")
    if entry is not None:
        told = {"x": {"file_name": "mine.json", "formatting": "sharegpt", **entry}}
        (blog / "dataset_info.json").write_text(json.dumps(told))
    report = imported(file, tmp_path / "data")
    assert len({example.clip for example in examples_in(tmp_path / "data")}) == 16
    assert any("16 rows have a system prompt" in note for note in report.built.notes) == (shape is as_named)


def lines_of(rows: Sequence[Json]) -> str:
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in rows) + "\n\n"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl", lambda path, rows: path.write_text(lines_of(rows), encoding="utf-8")),
        ("a.json", lambda path, rows: path.write_text(lines_of(rows), encoding="utf-8-sig")),
        ("b.json", lambda path, rows: path.write_text(json.dumps(rows, indent=1), encoding="utf-8-sig")),
    ],
    ids=["lines", "lines with a BOM", "list with a BOM"],
)
def test_lists_and_lines_are_read_with_and_without_a_byte_order_mark(
    blog: Path, tmp_path: Path, name: str, write: Callable[[Path, list[Json]], object]
) -> None:
    write(blog / name, rows_of(blog))
    imported(blog / name, tmp_path / "data")
    assert len({example.clip for example in examples_in(tmp_path / "data")}) == 16


@pytest.mark.parametrize("spelt", ["relative", "absolute", "windows", "drive", "dots", "elsewhere", "in media_dir"])
def test_a_clip_is_found_however_its_path_is_spelt(blog: Path, tmp_path: Path, spelt: str) -> None:
    spellings: dict[str, Callable[[str], str]] = {
        "relative": lambda name: name,
        "absolute": lambda name: str(blog / name),
        "windows": lambda name: name.replace("/", "\\"),
        "drive": lambda name: "D:\\videos\\" + name.replace("/", "\\"),
        "dots": lambda name: f"fight/../{name}",
        "elsewhere": lambda name: f"/home/somebody/{name}",
        "in media_dir": lambda name: name,
    }
    rows = [row(spellings[spelt](each["videos"][0]), each["messages"][1]["content"]) for each in rows_of(blog)]
    folder = tmp_path / "json"
    folder.mkdir()
    file = put(blog if spelt in {"relative", "windows", "dots"} else folder, rows, name="mine.json")
    if spelt == "in media_dir":
        told = {"x": {"file_name": file.name, "formatting": "sharegpt", "media_dir": "../blog"}}
        (folder / "dataset_info.json").write_text(json.dumps(told))
    imported(file, tmp_path / "data", media_dir=blog if spelt in {"drive", "elsewhere"} else None)
    examples = examples_in(tmp_path / "data")
    assert len({example.clip for example in examples}) == 16
    assert all(example.clip.endswith((".mp4",)) and example.answer.startswith(("是的", "没有")) for example in examples)


@pytest.mark.parametrize("told", ["打架视频", os.fsdecode("打架视频".encode("gb18030"))])
def test_a_clip_is_found_whose_name_an_archive_kept_in_gbk(blog: Path, tmp_path: Path, told: str) -> None:
    rows = rows_of(blog)
    named = rows[0]["videos"][0]
    kept = os.fsdecode("打架视频".encode("gb18030"))
    (blog / named).rename((blog / named).with_name(f"{kept}.mp4"))
    rows[0]["videos"][0] = str(Path(named).with_name(f"{told}.mp4"))
    (blog / "anomaly-train.json").write_text(json.dumps(rows), encoding="utf-8")
    imported(blog / "anomaly-train.json", tmp_path / "out")
    assert any(example.clip.endswith("/打架视频.mp4") for example in examples_in(tmp_path / "out"))


def test_a_foreign_path_is_not_guessed_at_unasked(blog: Path, tmp_path: Path) -> None:
    file = put(blog, [row("D:\\videos\\fight\\fi0.mp4", "是的，打架。"), *rows_of(blog)])
    (reason,) = reasons(file, tmp_path / "data")
    assert "row 1" in reason and "--media-dir" in reason


def test_a_link_to_a_clip_keeps_the_label_of_its_own_folder(blog: Path, tmp_path: Path) -> None:
    (blog / "store").mkdir()
    for path in list(blog.glob("*/*.mp4")):
        moved = path.rename(blog / "store" / path.name)
        path.symlink_to(moved)
    rows = [each for each in rows_of(blog) if not each["videos"][0].startswith("store/")]
    rows[0]["messages"][1]["content"] = "没有，平静。"
    assert ["row 1" in reason and "fight" in reason for reason in reasons(put(blog, rows), tmp_path / "data")] == [True]


BAD_ROWS: dict[str, tuple[Any, str]] = {
    "a missing file": (row("fight/gone.mp4", "是的，打架。"), "fight/gone.mp4 does not exist"),
    "no verdict word": (row("fight/fi0.mp4", "有人打架。"), "does not begin with 是的 or 没有"),
    "a quoted word": (row("fight/fi0.mp4", "“是的”，打架。"), "does not begin with"),
    "against its folder": (row("normal/no0.mp4", "是的，打架。"), "lies in normal/, which means normal"),
    "two videos": (row("x", "是的。") | {"videos": ["fight/fi0.mp4", "fight/fi1.mp4"]}, "names 2 videos"),
    "no video": (row("x", "是的。") | {"videos": []}, "names no video"),
    "images beside it": (row("fight/fi0.mp4", "是的。", images=["a.jpg"]), "shows images"),
    "a picture for a video": (row("fight/fi0.jpg", "是的。"), "is an image, not a video"),
    "another kind of file": (row("fight/fi0.txt", "是的。"), "does not have the extension of a video"),
    "an address": (row("http://127.0.0.1/a.mp4", "是的。"), "is an address"),
    "frames": (row(["a.jpg", "b.jpg"], "是的。"), "a list of extracted frames"),
    "no mark": (row("fight/fi0.mp4", "是的。", asked=FIGHT.text), "holds <video> 0 times"),
    "two marks": (row("fight/fi0.mp4", "是的。", asked=f"<video>{ASKED}"), "holds <video> 2 times"),
    "a mark in the answer": (row("fight/fi0.mp4", "是的，<video>。"), "the answer holds <video>"),
    "a token in the answer": (row("fight/fi0.mp4", "是的，<|im_end|>。"), "the answer holds <|im_end|>, which a model"),
    "a token in the question": (row("fight/fi0.mp4", "是的。", asked=f"{ASKED}<|im_end|>"), "holds <|im_end|>"),
    "another mark": (row("fight/fi0.mp4", "是的。", asked=f"<image>{ASKED}"), "holds <image>"),
    "no question": (row("fight/fi0.mp4", "是的。", asked="<video> "), "the question is empty"),
    "no answer": (row("fight/fi0.mp4", " "), "the answer is empty"),
    "an answer that is none": (row("fight/fi0.mp4", 7), "is a number and not a text"),
    "half a character": (row("fight/fi0.mp4", "是的，\ud800"), "half a character"),
    "half a character in a name": (row("fight/\udfff.mp4", "是的"), "half a character"),
    "a name with a null": (row("fight/\0.mp4", "是的"), "does not exist"),
    "a name without end": (row("a" * 5000 + ".mp4", "是的"), "does not exist"),
    "a name for a terminal": (row("fight/\x1b[2J.mp4", "是的"), "\\x1b[2J.mp4' does not exist"),
    "roles reversed": (
        {"messages": row("x", "是的")["messages"][::-1], "videos": ["fight/fi0.mp4"]},
        "before the question",
    ),
    "two turns": ({"messages": row("x", "是的")["messages"] * 2, "videos": ["fight/fi0.mp4"]}, "has 4 messages"),
    "an unknown role": ({"messages": [{"role": "robot", "content": ASKED}], "videos": ["a.mp4"]}, "is by robot"),
    "no messages": ({"instruction": ASKED, "videos": ["a.mp4"]}, "has no list of messages"),
    "a text for a row": ("是的", "is an empty text"),
    "nothing for a row": (None, "is nothing and not an object"),
    "another question": (row("fight/fi0.mp4", "是的。", asked="<video>有几个人？"), "asks another question"),
}


@pytest.mark.parametrize(("bad", "why"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_cannot_be_used_is_refused_with_its_number_and_writes_nothing(
    blog: Path, tmp_path: Path, bad: Any, why: str
) -> None:
    file = blog / "mine.json"
    rows = [each for each in rows_of(blog) if each["videos"] != ["fight/fi0.mp4"]]
    file.write_text(json.dumps([*rows, bad]), encoding="utf-8")
    (reason,) = reasons(file, tmp_path / "data")
    assert reason.startswith("row 16: ") and why in reason and "\n" not in reason


def test_two_answers_of_one_clip_that_contradict_each_other_are_both_refused(blog: Path, tmp_path: Path) -> None:
    (blog / "any").mkdir()
    shutil.copy(blog / "fight/fi0.mp4", blog / "any/a.mp4")
    (blog / "any/link.mp4").symlink_to("a.mp4")
    rows = [each for each in rows_of(blog) if not each["videos"][0].startswith("any/")]
    rows += [row("any/a.mp4", "是的，打架。"), row("any/link.mp4", "没有，平静。")]
    told = reasons(put(blog, rows), tmp_path / "data")
    assert len(told) == 2 and all("row 17 says 是的" in reason and "row 18 says 没有" in reason for reason in told)


def test_one_clip_has_one_answer_and_repeating_it_is_no_fault(blog: Path, tmp_path: Path) -> None:
    rows = rows_of(blog)
    again = [*rows, rows[0], row(rows[1]["videos"][0], "是的")]
    imported(put(blog, again), tmp_path / "data")
    answers = {example.clip: example.answer for example in examples_in(tmp_path / "data")}
    assert answers["fight/fi1.mp4"] == words_of("fight/fi1.mp4")
    other = put(blog, [*rows, row("fight/fi0.mp4", "是的，另一种说法。")])
    (reason,) = reasons(other, tmp_path / "other")
    assert "row 17" in reason and "in other words by row 1" in reason


def test_bad_rows_can_be_left_out_and_are_written_down(
    blog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*rows_of(blog), *[row(f"fight/gone{n}.mp4", "是的") for n in range(12)]]
    file, out = put(blog, rows), tmp_path / "data"
    words = ["dataset", "import", str(file), "--out", str(out), "--max-pixels", "12288", "--jobs", "1"]
    assert main(words) == 1 and not out.exists()
    told = capsys.readouterr().err.strip().splitlines()
    assert told[0].startswith("refused: row 17: fight/gone0.mp4 does not exist") and told[10] == "refused: 2 more"
    assert len(told) == 12 and "12 of 28 rows" in told[-1] and "--skip-bad" in told[-1]
    assert main([*words, "--skip-bad"]) == 0
    said = capsys.readouterr()
    assert "words from: human" in said.out and "12 rows were left out" in said.err
    assert [each["row"] for each in json.loads((out / REFUSED_NAME).read_text())["rows"]] == list(range(17, 29))
    assert main(["dataset", "import", str(put(blog, rows_of(blog))), *words[3:]]) == 0
    assert not (out / REFUSED_NAME).exists()


def broken_files(blog: Path) -> dict[str, tuple[Path, type[Exception], str]]:
    files: dict[str, tuple[bytes, str]] = {
        "empty.json": (b"", "holds no rows"),
        "no-rows.json": (b"[]", "holds no rows"),
        "half.json": (b'[{"messages": ', "not valid JSON"),
        "object.json": (b'{\n"a": 1}', "neither a JSON list nor JSON lines"),
        "deep.json": (b"[" * 100_000, "not valid JSON"),
        "gbk.json": ('[{"a": "打架"}]'.encode("gbk"), "not in UTF-8"),
        "video.json": (b"\x00\x00\x00\x18ftypmp42", "neither a JSON list nor JSON lines"),
    }
    made: dict[str, tuple[Path, type[Exception], str]] = {}
    for name, (data, why) in files.items():
        (blog / name).write_bytes(data)
        made[name] = (blog / name, DatasetError, why)
    made["folder"] = (blog, UsageError, "there is no file")
    made["gone"] = (blog / "gone.json", UsageError, "there is no file")
    return made


def test_a_file_that_is_no_list_of_rows_is_told_on_one_line(blog: Path, tmp_path: Path) -> None:
    for file, kind, why in broken_files(blog).values():
        with pytest.raises(kind, match=why) as told:
            imported(file, tmp_path / "data")
        assert "\n" not in str(told.value) and not (tmp_path / "data").exists()


def test_a_huge_list_is_refused_and_huge_lines_are_passed_by(
    blog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharegpt, "LIST_BYTES_MAX", 1000)
    monkeypatch.setattr(sharegpt, "LINE_BYTES_MAX", 1000)
    with pytest.raises(DatasetError, match="write it as JSON lines"):
        imported(put(blog, rows_of(blog)), tmp_path / "data")
    long = json.dumps(row("fight/fi0.mp4", "是的，" + "很" * 5000), ensure_ascii=False)
    lines = [json.dumps(each, ensure_ascii=False) for each in rows_of(blog)]
    (blog / "a.jsonl").write_text("\n".join([*lines[1:], long, "{not json"]), encoding="utf-8")
    told = reasons(blog / "a.jsonl", tmp_path / "data")
    assert [reason.split(":")[0] for reason in told] == ["row 16", "row 17"]
    assert "is a line of more than" in told[0] and "is not JSON" in told[1]


def test_one_class_only_is_refused(blog: Path, tmp_path: Path) -> None:
    file = put(blog, [each for each in rows_of(blog) if each["videos"][0].startswith("fight")])
    with pytest.raises(DatasetError, match="answers 没有"):
        imported(file, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_files_of_other_people_are_never_written_over(blog: Path, tmp_path: Path) -> None:
    file = put(blog, rows_of(blog))
    before = digests(blog)
    for out in (blog, blog / "fight" / ".."):
        with pytest.raises(UsageError, match=r"holds anomaly-train\.json, which stays"):
            imported(file, out)
    with pytest.raises(UsageError, match="holds the clip"):
        imported(put(tmp_path, rows_of(blog)), blog, media_dir=blog)
    with pytest.raises(DatasetError, match="vigil dataset import"):
        build_dataset(BuildSettings(clips=blog, out=blog, task=FIGHT, extract=EXTRACT))
    assert digests(blog) == before


def test_a_registry_may_name_the_file_below_its_folder(blog: Path, tmp_path: Path) -> None:
    (blog / "json").mkdir()
    file = put(blog / "json", map(as_named, rows_of(blog)), name="mine.json")
    told = {"x": {"file_name": "json/mine.json", "formatting": "sharegpt", **NAMED}}
    (blog / "dataset_info.json").write_text(json.dumps(told))
    imported(file, tmp_path / "data", registry=blog / "dataset_info.json")
    assert {example.clip.split("/")[0] for example in examples_in(tmp_path / "data")} == {"fight", "normal"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"formatting": "alpaca"}, "is alpaca; only sharegpt"),
        ({}, "is alpaca; only sharegpt"),
        (None, "has no entry whose file_name is mine.json"),
    ],
)
def test_a_registry_that_says_another_form_is_believed(
    blog: Path, tmp_path: Path, entry: Json | None, why: str
) -> None:
    file, registry = put(blog, rows_of(blog), name="mine.json"), tmp_path / "info.json"
    registry.write_text(json.dumps({} if entry is None else {"x": {"file_name": "mine.json", **entry}}))
    with pytest.raises(UsageError, match=why):
        imported(file, tmp_path / "data", registry=registry, media_dir=blog)


def test_a_folder_that_means_nothing_is_no_contradiction_and_skip_leaves_rows_out(blog: Path, tmp_path: Path) -> None:
    (blog / "normal").rename(blog / "corridor")
    rows = rows_of(blog)
    report = imported(put(blog, rows), tmp_path / "data")
    assert {e.label for e in examples_in(tmp_path / "data") if e.clip.startswith("corridor")} == {"normal"}
    assert not report.refused
    with pytest.raises(DatasetError, match="answers 没有"):
        imported(put(blog, rows), tmp_path / "other", build={"meanings": {"corridor": "skip"}})
