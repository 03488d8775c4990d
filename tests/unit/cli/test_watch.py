import json
import resource
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from full_disk import full_disk
from scripted_server import Reply, Request, ScriptedServer, error
from tls import Authority
from vigil.cli.lazy_group import SUMMARIES
from vigil.cli.main import main
from watching import bright_server, film, look


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "task.yaml"
    path.write_text('name: t\nquestion: Is there a fight?\nalarm_word: "Yes"\nnormal_word: "No"\n')
    return str(path)


def test_a_watch_prints_its_table_and_writes_its_lines(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])
    words = ["watch", str(video), "--url", server.url, "--task", task, "--max-pixels", "12288", "--jsonl", "v.jsonl"]
    assert main([*words, "--srt", "v.srt", "--video", "seen.mp4"]) == 0
    lines = [json.loads(line) for line in Path("v.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum("event" in line for line in lines) == 2
    told = capsys.readouterr()
    assert "a.mp4" in told.out and "probabilities: not calibrated" in told.err
    assert Path("outputs/watch/events.db").is_file()
    assert "ALARM" in Path("v.srt").read_text(encoding="utf-8")
    with av.open("seen.mp4") as seen:
        assert sum(1 for _ in seen.decode(video=0)) == 24 * 8


def test_a_sentence_is_asked_beside_the_task_is_kept_with_the_camera_and_taken_away(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])
    words = ["watch", str(video), "--url", server.url, "--task", task, "--max-pixels", "12288", "--jsonl", "v.jsonl"]
    climbing = "Is somebody climbing over the fence?"
    rules = []
    for more in (["--ask", climbing], [], ["--ask", "none"]):
        Path("v.jsonl").unlink(missing_ok=True)
        assert main([*words, *more]) == 0
        lines = [json.loads(line) for line in Path("v.jsonl").read_text(encoding="utf-8").splitlines()]
        rules.append({line["rule"] for line in lines if "event" in line})
        answers = [line.get("answers") for line in lines if "event" not in line]
        asked = climbing in rules[-1]
        assert [each is not None for each in answers] == [asked] * len(answers)
    assert rules == [{"t", climbing}, {"t", climbing}, {"t"}]
    told = " ".join(capsys.readouterr().err.split())
    assert f"the question '{climbing}' is not calibrated: 0 marks (0 true, 0 false alarms); it takes 20" in told


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("", "the sentence to ask is empty"),
        ("x" * 100_000, "at most 500 characters"),
        ("Is <video> dark?", "'<video>'"),
    ],
)
def test_a_sentence_that_cannot_be_asked_ends_the_command_before_anything_is_watched(
    server: ScriptedServer, sentence: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "0", "--url", server.url, "--ask", sentence]) == 2
    assert said in " ".join(capsys.readouterr().err.split()) and server.requests == []


def test_lines_on_standard_output_are_alone_there(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=4)
    assert main(["watch", str(video), "--url", server.url, "--task", task, "--store", "none", "--jsonl", "-"]) == 0
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())


def test_an_authority_of_ones_own_is_named_with_an_option_or_a_setting(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = Authority.make(tmp_path / "authority")
    with bright_server(tls=authority.server()) as server:
        words = ["watch", str(film(tmp_path / "a.mp4", seconds=4)), "--url", server.url, "--task", task]
        assert main(words) == 1
        assert "certificate is not trusted" in capsys.readouterr().err
        assert main([*words, "--ca-file", str(authority.file), "--jsonl", "v.jsonl"]) == 0
        assert main([*words, "--set", f"ca_file={authority.file}"]) == 0
    assert '"normal"' in Path("v.jsonl").read_text(encoding="utf-8")


def test_every_command_that_takes_an_address_takes_an_authority(capsys: pytest.CaptureFixture[str]) -> None:
    helps: dict[str, str] = {}
    for words in (*([name] for name in SUMMARIES), ["dataset", "annotate"]):
        main([*words, "--help"])
        helps[" ".join(words)] = capsys.readouterr().out
    asking = {name for name, told in helps.items() if "--url" in told}
    assert asking >= {"watch", "score", "calibrate", "parity", "dataset annotate"}
    assert asking == {name for name in asking if "--ca-file" in helps[name]}


def test_windows_whose_answer_is_hardly_a_verdict_are_unknown_when_asked_for(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=4)
    words = ["watch", str(video), "--url", server.url, "--task", task, "--set", "min_label_probability=0.9999"]
    assert main(words) == 1
    assert "not one window could be judged" in (told := capsys.readouterr()).err and "outside" in told.err


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["nothing.mp4"], 1, "there is no 'nothing.mp4'"),
        (["ftp://host/x"], 2, "only rtsp"),
        ([], 2, "no source"),
        (["0", "--set", "ruels.0.k=1"], 2, "did you mean 'rules'"),
        (["0", "--set", "rules.0.k=9"], 2, "rules.0.k=9: rules.0: k must be from 1 to n"),
        (["0", "--set", "deadline_s=-1"], 2, "deadline_s must be above 0"),
        (["0", "1", "--srt", "x.srt"], 2, "--srt is about one source"),
        (["0", "--video", "/proc/x/y.mp4"], 2, "cannot be written"),
        (["0", "--jsonl", "/proc/x/y"], 2, "cannot be written"),
        (["0", "--config", "nosuch"], 2, "no watch configuration"),
    ],
)
def test_a_wrong_word_is_told_on_one_line(
    words: list[str], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *words]) == code
    assert complaint in capsys.readouterr().err.replace("\n", " ")


def test_no_server_is_told_with_the_command_that_starts_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = film(tmp_path / "a.mp4", seconds=2)
    assert main(["watch", str(video), "--url", "http://127.0.0.1:9/v1"]) == 1
    assert "./vllm.sh" in capsys.readouterr().err


def test_a_watch_without_one_verdict_is_a_failed_job(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.default = error(400, "no")
    video = film(tmp_path / "a.mp4", seconds=4)
    assert main(["watch", str(video), "--url", server.url, "--task", task, "--set", "file_wait_s=0"]) == 1
    assert "takes neither" in capsys.readouterr().err


def test_lines_that_cannot_be_written_cost_neither_the_table_nor_the_video(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=4)
    words = ["watch", str(video), "--url", server.url, "--task", task, "--store", "none", "--jsonl", "/dev/full"]
    assert main([*words, "--video", "seen.mp4"]) == 1
    told = capsys.readouterr()
    assert "a.mp4" in told.out and "not kept: 2 JSON lines" in told.out and Path("seen.mp4").is_file()
    assert "some results could not be written" in told.err.replace("\n", " ") and "Traceback" not in told.err


def test_a_watch_whose_findings_could_not_be_stored_is_a_failed_job(
    server: ScriptedServer, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])

    def fill_up(request: Request) -> Reply:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        return look(request)

    server.default = fill_up
    with full_disk(resource.getrlimit(resource.RLIMIT_FSIZE)[0]):
        code = main(["watch", str(video), "--url", server.url, "--task", task, "--store", "s.db"])
    assert code == 1
    assert "events and verdicts in the store" in capsys.readouterr().out
