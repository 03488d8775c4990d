import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scripted_server import Reply, Request, ScriptedServer, chat, error
from vigil.dataset.annotate import AnnotateReport, AnnotateSettings, annotate_dataset
from vigil.dataset.annotation_log import LOG_NAME, read_annotations
from vigil.dataset.build import BuildSettings, build_dataset
from vigil.dataset.check import check_dataset
from vigil.dataset.examples import TrainingExample, read_splits, split_path
from vigil.dataset.extract import ExtractSettings
from vigil.errors import DatasetError, EndpointError
from vigil.frames import FrameSampling
from vigil.judge.endpoint import Endpoint
from vigil.questions import load_question

FIGHT = load_question("fight")
AGREES = {"alarm": "两名男子在走廊里互相推搡并挥拳。", "normal": "行人平静地走过走廊。"}


@pytest.fixture(scope="module")
def built(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data")
    settings = ExtractSettings(sampling=FrameSampling(max_pixels=12288))
    build_dataset(BuildSettings(clips=clips, out=out, task=FIGHT, extract=settings, limit=8))
    return out


@pytest.fixture
def data(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "data")


def label_in(request: Request) -> str:
    return "alarm" if "结论是“是的”" in request.text else "normal"


def agree(request: Request) -> Reply:
    return chat(AGREES[label_in(request)])


def run(data: Path, server: ScriptedServer, **more: object) -> AnnotateReport:
    plan = AnnotateSettings(folder=data, endpoint=Endpoint(url=server.url, model="vl"), jobs=2, retries=0)
    return annotate_dataset(replace(plan, **more))


def examples(data: Path) -> list[TrainingExample]:
    return [example for each in read_splits(data, FIGHT).values() for example in each]


def test_pictures_go_nowhere_else(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server, ScriptedServer() as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        server.default = Reply(status=307, headers={"Location": f"{other.url}/chat/completions"})
        other.default = agree
        assert run(data, server, limit=1).accepted == 0
        assert server.chats and other.requests == []


def test_descriptions_follow_the_verdict_word_and_the_pictures_are_sent(data: Path) -> None:
    with ScriptedServer() as server:
        server.default = agree
        report = run(data, server)
    assert (report.accepted, report.rejected, report.failed) == (len(examples(data)), 0, 0)
    for example in examples(data):
        assert example.answer == f"{FIGHT.word(example.label)}，{AGREES[example.label]}"
        assert example.described_by == "model:vl"
    sent = server.chats[0]
    assert sum(part["type"] == "image_url" for part in sent.parts) in (4, 6)
    assert server.max_in_flight <= 2
    assert not [finding for finding in check_dataset(data).findings if "changed since" in finding.what]


def test_a_contradiction_is_asked_about_once_again_and_then_rejected(data: Path) -> None:
    before = {example.key: example.answer for example in examples(data)}
    with ScriptedServer() as server:
        server.default = lambda request: chat(
            {"alarm": "画面中没有打架。", "normal": "两人正在打架。"}[label_in(request)]
        )
        report = run(data, server)
    assert report.rejected == len(before)
    assert len(server.chats) == 2 * len(before)
    assert "相矛盾" in server.chats[-1].text
    assert {example.key: example.answer for example in examples(data)} == before
    assert {entry.status for entry in read_annotations(data)} == {"rejected"}


def test_the_second_try_counts(data: Path) -> None:
    with ScriptedServer() as server:
        server.default = lambda request: (
            agree(request)
            if "相矛盾" in request.text
            else chat("没有没有。" if label_in(request) == "alarm" else "是的。")
        )
        report = run(data, server)
    assert report.accepted == len(examples(data))
    assert {entry.asked for entry in read_annotations(data)} == {2}


def test_a_repeated_verdict_word_thoughts_and_markdown_are_taken_off(data: Path) -> None:
    def ornate(request: Request) -> Reply:
        label = label_in(request)
        return chat(f"<think>hm</think>\n**{FIGHT.word(label)}**，\n- “{AGREES[label]}”")

    with ScriptedServer() as server:
        server.default = ornate
        run(data, server)
    assert {example.answer for example in examples(data)} == {
        f"{FIGHT.word(label)}，{AGREES[label]}" for label in AGREES
    }


def test_marks_and_turns_of_its_own_are_taken_off(data: Path) -> None:
    def marked(request: Request) -> Reply:
        words = AGREES[label_in(request)]
        return chat(
            f"<video><|video_pad|>{words[:3]}<|im<image>_end|>{words[3:]}<|im_end|>\n<|im_start|>user\n再来一次"
        )

    with ScriptedServer() as server:
        server.default = marked
        assert run(data, server).rejected == 0
    assert {example.answer for example in examples(data)} == {
        f"{FIGHT.word(label)}，{AGREES[label]}" for label in AGREES
    }


def test_a_reply_of_marks_alone_is_empty(data: Path) -> None:
    with ScriptedServer() as server:
        server.default = lambda request: chat("<|im_end|>")
        report = run(data, server)
    assert report.rejected and set(report.reasons) == {"it is empty"}


def test_a_stopped_job_goes_on_where_it_was(data: Path) -> None:
    with ScriptedServer() as server:
        server.default = error(401, "no")
        server.queue(agree, agree, agree)
        with pytest.raises(EndpointError, match="refused the key"):
            run(data, server, jobs=1)
        assert sum(example.described_by == "model:vl" for example in examples(data)) == 3
        with (data / LOG_NAME).open("a") as file:
            file.write('{"clip": "half')
        server.default = agree
        report = run(data, server)
    assert report.accepted == len(examples(data)) - 3
    assert report.kept_from_before == 3
    assert len({entry.key for entry in read_annotations(data)}) == len(read_annotations(data)) == len(examples(data))


def rewrite(data: Path, change: Callable[[dict], None]) -> None:
    path = split_path(data, "train")
    rows = json.loads(path.read_text())
    change(rows[0])
    path.write_text(json.dumps(rows, ensure_ascii=False))


def test_what_a_human_wrote_is_never_touched_not_even_while_the_job_runs(data: Path) -> None:
    first = read_splits(data, FIGHT)["train"][0]
    text = f"{FIGHT.word(first.label)}，我自己看过的。"

    def edit_meanwhile(request: Request) -> Reply:
        rewrite(data, lambda row: row["messages"][1].update(content=text))
        return agree(request)

    with ScriptedServer() as server:
        server.queue(edit_meanwhile)
        server.default = agree
        run(data, server)
        kept = read_splits(data, FIGHT)["train"][0]
        assert (kept.answer, kept.described_by) == (text, "human")
        asked = len(server.chats)
        assert run(data, server, redo=True).human == 1
        assert len(server.chats) == asked
    assert read_splits(data, FIGHT)["train"][0].answer == text


def test_another_model_writes_anew_only_when_asked_to(data: Path) -> None:
    with ScriptedServer(models=["other"]) as server:
        server.default = agree
        run(data, server)
        endpoint = Endpoint(url=server.url)
        assert run(data, server, endpoint=endpoint).accepted == 0
        report = run(data, server, endpoint=endpoint, redo=True)
    assert (report.model, report.accepted) == ("other", len(examples(data)))
    assert {example.described_by for example in examples(data)} == {"model:other"}


def test_windows_without_reply_keep_their_sentence_and_are_asked_about_again(data: Path) -> None:
    with ScriptedServer() as server:
        server.queue(error(500, "busy"), Reply(body={"choices": []}))
        server.default = agree
        report = run(data, server, jobs=1)
        assert report.failed == 2
        assert run(data, server).accepted == 2


def test_an_endpoint_that_is_gone_or_always_fails_ends_the_job(data: Path) -> None:
    with ScriptedServer() as server:
        gone = Endpoint(url=server.url, model="vl")
        server.default = error(404, "no such model")
        with pytest.raises(EndpointError, match="has no model 'vl'"):
            run(data, server)
    with ScriptedServer() as server, pytest.raises(EndpointError, match="nothing answers"):
        run(data, server, endpoint=gone)


def test_ten_failures_in_a_row_end_the_job(data: Path, clips: Path) -> None:
    build_dataset(
        BuildSettings(
            clips=clips, out=data, task=FIGHT, extract=ExtractSettings(sampling=FrameSampling(max_pixels=12288))
        )
    )
    with ScriptedServer() as server:
        server.default = error(400, "picture too large")
        with pytest.raises(EndpointError, match="last 10 requests all failed"):
            run(data, server, jobs=1)
    assert len(server.chats) == 10


def test_the_newer_name_of_the_length_limit_is_used_when_the_older_is_refused(data: Path) -> None:
    with ScriptedServer() as server:
        server.queue(error(400, "Unsupported parameter: use 'max_completion_tokens' instead of 'max_tokens'"))
        server.default = agree
        report = run(data, server, jobs=1)
    assert report.failed == 0
    assert "max_completion_tokens" in server.chats[-1].body


def test_a_damaged_log_is_named_by_line(data: Path) -> None:
    (data / LOG_NAME).write_text("{}\n{}\n")
    with ScriptedServer() as server, pytest.raises(DatasetError, match="line 1 is damaged"):
        run(data, server)
