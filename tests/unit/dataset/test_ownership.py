"""What Vigil did not write stays as it is, wherever a dataset is built: byte for byte, under its name."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.cli.main import main
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.examples import split_path
from vigil.dataset.extract import ExtractSettings
from vigil.errors import DatasetError
from vigil.frames import FrameSampling
from vigil.manifest import Contract, Manifest
from vigil.questions import load_question

CHAT = [{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}]
FRAMES = [CHAT[0] | {"videos": [["a/0.jpg", "a/1.jpg"]]}]
ENTRY = {"anomaly-train": {"file_name": "my_train.json", "columns": {"messages": "conversations"}}}


def plan(clips: Path, out: Path) -> BuildSettings:
    return BuildSettings(
        clips=clips,
        out=out,
        task=load_question("fight"),
        extract=ExtractSettings(sampling=FrameSampling(max_pixels=12288)),
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def models(folder: Path) -> None:
    contract = Contract.of(load_question("fight"), FrameSampling())
    Manifest(contract=contract, base_model="Qwen3-VL-2B", template="t").write(folder)


def put(name: str, text: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    return write


FOREIGN: dict[str, Callable[[Path], None]] = {
    "examples in text": put("anomaly-train.json", json.dumps(CHAT)),
    "examples of frames": put("anomaly-train.json", json.dumps(FRAMES)),
    "examples of alpaca": put("anomaly-test.json", json.dumps([{"instruction": "a", "input": "", "output": "b"}])),
    "an object": put("anomaly-val.json", '{"rows": []}'),
    "JSON lines": put("anomaly-calibration.json", '{"a": 1}\n{"a": 2}\n'),
    "another encoding": put("anomaly-train.json", '["打架"]'.encode("gbk")),
    "set aside by hand": put("answers-set-aside.json", json.dumps({"mine": 1})),
    "an entry of theirs": put("dataset_info.json", json.dumps(ENTRY)),
    "a model": models,
    "another program's manifest": put("vigil.json", '{"name": "vigil", "version": 3}'),
    "pictures of theirs": put("frames/alarm/fi1/photo.png", b"png"),
    "notes among pictures": put("frames/alarm/fi1/notes.txt", "do not lose"),
    "a half file of theirs": put("anomaly-train.json.partial", "half"),
    "a half manifest of theirs": put("vigil.json.partial", "half"),
    "a half folder of theirs": put("frames/alarm/holiday.partial/photo.png", b"png"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_build_into_a_folder_of_somebodys_leaves_all_as_it_is(clips: Path, tmp_path: Path, what: str) -> None:
    put("dataset_info.json", '{"mine":{"file_name":"mine.json"}}')(tmp_path)
    put("thesis.partial", "half a thesis")(tmp_path)
    FOREIGN[what](tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(DatasetError, match="stays as it is") as told:
        build_dataset(plan(clips, tmp_path))
    assert "--out" in str(told.value) and "\n" not in str(told.value)
    assert snapshot(tmp_path) == before


def test_notes_beside_the_frames_of_a_clip_are_not_deleted_when_it_is_cut_anew(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    notes = next((tmp_path / "frames/alarm").glob("fi1*")) / "notes.txt"
    notes.write_text("do not lose")
    build_dataset(plan(clips, tmp_path))
    denser = replace(plan(clips, tmp_path), extract=ExtractSettings(sampling=FrameSampling(fps=3, max_pixels=12288)))
    with pytest.raises(DatasetError, match="stays as it is"):
        build_dataset(denser)
    assert notes.read_text() == "do not lose"


def test_what_others_keep_beside_a_dataset_stays(clips: Path, tmp_path: Path) -> None:
    info = '{"mine":{"file_name":"mine.json"}}'
    others = {"thesis.partial": "half", "frames/notes.txt": "mine", "mine.json": "[]", "anomaly-extra.json": "[]"}
    for name, text in (others | {"dataset_info.json": info}).items():
        put(name, text)(tmp_path)
    for _ in range(2):
        build_dataset(plan(clips, tmp_path))
        assert {name: (tmp_path / name).read_text() for name in others} == others
    assert json.loads((tmp_path / "dataset_info.json").read_text())["mine"] == {"file_name": "mine.json"}


def test_a_registry_that_holds_the_entries_already_is_not_written_again(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    path = tmp_path / "dataset_info.json"
    theirs = json.dumps(json.loads(path.read_text()) | {"mine": {"file_name": "打架.json"}}, ensure_ascii=False)
    path.write_text(theirs, encoding="utf-8")
    build_dataset(plan(clips, tmp_path))
    assert path.read_text(encoding="utf-8") == theirs


def test_rows_that_somebody_added_to_a_dataset_are_not_dropped(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    path = split_path(tmp_path, "train")
    rows = json.loads(path.read_text())
    added = json.dumps([*rows, {"messages": rows[0]["messages"], "videos": [["frames/mine/0.jpg"]]}])
    path.write_text(added)
    with pytest.raises(DatasetError, match=f"example {len(rows)} .*stays as it is"):
        build_dataset(plan(clips, tmp_path))
    assert path.read_text() == added


def test_a_damaged_file_of_ones_own_is_named_and_left_for_its_owner(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    split_path(tmp_path, "train").write_text("[{]")
    with pytest.raises(DatasetError, match=r"anomaly-train\.json .*stays as it is"):
        build_dataset(plan(clips, tmp_path))
    assert split_path(tmp_path, "train").read_text() == "[{]"
    split_path(tmp_path, "train").unlink()
    build_dataset(plan(clips, tmp_path))


def test_a_page_of_somebodys_is_not_the_preview(clips: Path, tmp_path: Path) -> None:
    build_dataset(plan(clips, tmp_path))
    page = tmp_path / "preview.html"
    page.write_text("<h1>My data</h1>")
    assert main(["dataset", "preview", str(tmp_path)]) == 2
    assert page.read_text() == "<h1>My data</h1>"
    assert main(["dataset", "preview", str(tmp_path), "--out", str(tmp_path / "sheets.html")]) == 0
    page.unlink()
    assert main(["dataset", "preview", str(tmp_path)]) == 0
    assert main(["dataset", "preview", str(tmp_path)]) == 0


def test_a_report_of_somebodys_in_place_of_the_refused_rows_stays(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in" / "mine.json"
    task = load_question("fight")
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"<video>{task.text}"},
                {"role": "assistant", "content": f"{task.word(label)}。"},  # type: ignore[arg-type]
            ],
            "videos": [str(path)],
        }
        for label, folder in (("alarm", "fight"), ("normal", "normal"))
        for path in sorted((clips / folder).glob("*.mp4"))
    ]
    file.parent.mkdir()
    file.write_text(json.dumps(rows))
    report = tmp_path / "out" / "import-refused.json"
    put("import-refused.json", '["mine"]')(report.parent)
    words = ["dataset", "import", str(file), "--out", str(report.parent), "--max-pixels", "12288"]
    assert main(words) == 1
    assert "stays as it is" in " ".join(capsys.readouterr().err.split())
    assert report.read_text() == '["mine"]' and sorted(p.name for p in report.parent.iterdir()) == [report.name]
    report.unlink()
    assert main(words) == 0
