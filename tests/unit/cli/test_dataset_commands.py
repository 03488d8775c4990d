"""The commands of `vigil dataset`, as a person runs them: exit codes, what goes where, nothing half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from scripted_server import ScriptedServer, chat
from vigil.cli.dataset_report import meaning_of
from vigil.cli.main import main
from vigil.questions import load_question
from waiting import HANG_S, until


def write_clip(path: Path, *, seed: int, seconds: float = 2.0, size: tuple[int, int] = (96, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(round(seconds * 10)):
            coarse = random.integers(0, 255, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8)
            picture = np.kron(coarse, np.ones((16, 16, 1), np.uint8))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for number in range(6):
        write_clip(folder / f"fight/f{number}.mp4", seed=number)
        write_clip(folder / f"nofight/n{number}.mp4", seed=50 + number)
    return folder


def test_the_road_from_clips_to_a_described_dataset(clips, tmp_path, capsys, monkeypatch) -> None:
    out = str(tmp_path / "data")
    assert main(["dataset", "build", str(clips), "--out", out, "--max-pixels", "12288"]) == 0
    told = capsys.readouterr()
    assert "anomaly-train: 8 windows (4 alarm, 4 normal) of 8 clips" in told.out
    assert "no sources.csv" in told.err
    assert main(["dataset", "check", out]) == 0
    assert "0 errors" in capsys.readouterr().out
    assert main(["dataset", "preview", out]) == 0
    assert (tmp_path / "data/preview.html").is_file()
    monkeypatch.setenv("MY_KEY", "secret")
    with ScriptedServer(api_key="secret") as server:
        server.default = chat("人们在走廊里走动。")
        assert main(["dataset", "annotate", out, "--url", server.url, "--key-env", "MY_KEY", "--jobs", "2"]) == 0
    assert "12 answers written by scripted" in capsys.readouterr().out


def test_answers_can_be_the_verdict_word_alone(clips, tmp_path) -> None:
    out = tmp_path / "data"
    words = ["dataset", "build", str(clips), "--out", str(out), "--max-pixels", "12288", "--answers", "verdict"]
    assert main(words) == 0
    examples = json.loads((out / "anomaly-train.json").read_text(encoding="utf-8"))
    assert {example["messages"][1]["content"] for example in examples} == {"是的。", "没有。"}


def test_the_default_build_teaches_no_stock_sentences(clips, tmp_path, capsys) -> None:
    out = tmp_path / "data"
    assert main(["dataset", "build", str(clips), "--out", str(out), "--max-pixels", "12288"]) == 0
    assert "words from: none 8" in capsys.readouterr().out
    examples = json.loads((out / "anomaly-train.json").read_text(encoding="utf-8"))
    assert {example["messages"][1]["content"] for example in examples} == {"是的。", "没有。"}
    assert main(["dataset", "check", str(out)]) == 0
    assert "words from" in capsys.readouterr().out


def test_a_check_that_finds_errors_exits_with_1(clips, tmp_path, capsys) -> None:
    out = tmp_path / "data"
    assert main(["dataset", "build", str(clips), "--out", str(out), "--max-pixels", "12288"]) == 0
    next(out.glob("frames/alarm/*/*.jpg")).unlink()
    assert main(["dataset", "check", str(out)]) == 1
    assert "error: 1 frames are missing or unreadable" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["build", "nowhere"], 2, "there is no folder nowhere"),
        (["build", "{clips}", "--frames", "5"], 2, "frames must be even"),
        (["build", "{clips}", "--label", "x=y"], 2, "write FOLDER=alarm"),
        (["build", "{clips}", "--fold", "1"], 2, "belong together"),
        (["check", "nowhere"], 1, "not a finished dataset"),
        (["import", "nowhere.json"], 2, "there is no file nowhere.json"),
        (["import", "{clips}", "--media-dir", "nowhere"], 2, "--media-dir: there is no folder nowhere"),
        (["import", "x.json", "--out", "."], 2, "holds x.json, which stays as it is"),
        (["import", "x.json", "--dataset-info", "no.json"], 2, "--dataset-info: there is no file no.json"),
        (["annotate", "nowhere", "--key-env", "NOT_SET_ANYWHERE"], 2, "NOT_SET_ANYWHERE is empty"),
    ],
)
def test_mistakes_end_on_one_line_with_the_right_code(clips, capsys, words, code, message) -> None:
    assert main(["dataset", *(word.format(clips=clips) for word in words)]) == code
    told = capsys.readouterr().err.strip()
    assert message in told
    assert len(told.splitlines()) == 1


def test_a_folder_with_an_equals_sign_in_its_name_can_be_given_a_meaning() -> None:
    assert meaning_of("cam=3=alarm", load_question("fight")) == ("cam=3", "alarm")


def _described(folder: Path) -> Path:
    """A sharegpt file in which somebody has described the clips."""
    rows = []
    for path in sorted((folder / "clips").rglob("*.mp4")):
        answer = f"{'是的' if path.parent.name == 'fight' else '没有'}，第{path.stem}段。"
        said = [{"role": "user", "content": "<video>有人打架吗?"}, {"role": "assistant", "content": answer}]
        rows.append({"messages": said, "videos": [path.relative_to(folder).as_posix()]})
    (folder / "mine.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder / "mine.json"


def begin_long_build(folder: Path, command: str = "build") -> "tuple[subprocess.Popen[str], Path]":
    """A build of long clips in two processes, in a session of its own, that has cut the first of them; and its out."""
    write_clip(folder / "long.mp4", seed=0, seconds=25, size=(320, 240))
    for number in range(8):
        for label in ("fight", "normal"):
            (folder / "clips" / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "long.mp4", folder / f"clips/{label}/{number}.mp4")
    out = folder / "data"
    given = _described(folder) if command == "import" else folder / "clips"
    words = ["dataset", command, str(given), "--out", str(out), "--jobs", "2"]
    run = [sys.executable, "-m", "vigil", *words]
    job = subprocess.Popen(run, start_new_session=True, stderr=subprocess.PIPE, text=True)
    until(lambda: list(out.glob("frames/*/*/clip.json")) or job.poll() is not None)
    return job, out


def test_the_workers_of_a_build_that_is_killed_end_too(tmp_path: Path) -> None:
    job, out = begin_long_build(tmp_path)
    job.kill()
    # The workers hold the other end of its stderr.
    job.communicate(timeout=HANG_S)
    assert len(list(out.glob("frames/*/*/clip.json"))) < 16


@pytest.mark.parametrize("command", ["build", "import"])
def test_ctrl_c_ends_a_build_at_once_and_leaves_whole_clips(tmp_path: Path, command: str) -> None:
    job, out = begin_long_build(tmp_path, command)
    # To the whole group, as a terminal sends it.
    os.killpg(job.pid, signal.SIGINT)
    _, told = job.communicate(timeout=HANG_S)
    assert job.returncode == 1
    assert "Traceback" not in told
    assert "the same command resumes from there" in told
    assert not list(out.rglob("*.partial"))
    assert not (out / "vigil.json").exists()
    assert all((folder / "clip.json").is_file() for folder in out.glob("frames/*/*"))
