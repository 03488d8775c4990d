"""The chat before a model of verdicts alone: the verdict is the model's, the words are its base's."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from app.web.chat import ChatPanel
from app.web.chat_session import ChatSession

from rooms import context_of
from scripted_server import Reply, Request, ScriptedServer, error, stream
from vigil.frames import FrameSampling
from vigil.judge import Endpoint
from vigil.manifest import Contract, Manifest
from vigil.questions import load_question
from vigil.watch import WatchSettings
from watching import film

FIGHT = load_question("fight")
SILENT = replace(Contract.of(FIGHT, FrameSampling(max_pixels=12_288)), answers="verdict")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        cards = [
            {"id": "base", "object": "model", "created": 1, "owned_by": "vllm", "root": "m", "max_model_len": 4096},
            {"id": "fight", "object": "model", "created": 1, "owned_by": "vllm", "root": "f", "parent": "base"},
            {"id": SILENT.alias_for("fight"), "object": "model", "created": 1, "owned_by": "vllm", "root": "f"},
        ]
        running.routes["/v1/models"] = Reply(body={"object": "list", "data": cards})
        running.default = _answer
        yield running


def _answer(request: Request) -> Reply:
    return stream("是的。") if request.text == FIGHT.text else stream("两个人", "推搡。")


def answered(
    server: ScriptedServer, folder: Path, question: str, *files: Path, model_dir: Path | None = None
) -> ChatSession:
    endpoint = Endpoint(url=server.url, model="fight")
    context = context_of(folder, endpoint=endpoint, settings=WatchSettings(url=server.url, model_dir=model_dir))
    chat = ChatPanel(context, context.questions)
    visit = ChatSession(context.uploads.visitor_folder())

    async def run() -> None:
        sent: dict[str, Any] = {"text": question, "files": [str(file) for file in files]}
        async for _ in chat.send(sent, "fight", 64, visit):
            pass

    asyncio.run(run())
    return visit


def test_the_trained_question_gets_a_verdict_and_then_the_words_of_the_base(
    server: ScriptedServer, tmp_path: Path
) -> None:
    visit = answered(server, tmp_path, FIGHT.text, film(tmp_path / "a.mp4", seconds=3))
    assert visit.conversation.turns[-1].answer == "是的。\n两个人推搡。"
    judged, described = server.chats
    assert (judged.body["model"], described.body["model"]) == ("fight", "base")
    assert described.text == FIGHT.description_question and described.parts[0] == judged.parts[0]


def test_the_model_brings_its_question_for_a_description_along(server: ScriptedServer, tmp_path: Path) -> None:
    Manifest(contract=replace(SILENT, describe="谁在那里?"), base_model="", template="").write(tmp_path)
    answered(server, tmp_path, FIGHT.text, film(tmp_path / "a.mp4", seconds=3), model_dir=tmp_path)
    assert [chat.text for chat in server.chats] == [FIGHT.text, "谁在那里?"]


def test_a_verdict_stands_where_its_words_do_not_come(server: ScriptedServer, tmp_path: Path) -> None:
    server.queue(stream("是的。"), error(503, "away"))
    visit = answered(server, tmp_path, FIGHT.text, film(tmp_path / "a.mp4", seconds=3))
    assert visit.conversation.turns[-1].answer.startswith("是的。\n[no description: ")


def test_any_other_question_is_answered_by_the_base(server: ScriptedServer, tmp_path: Path) -> None:
    visit = answered(server, tmp_path, "几个人?", film(tmp_path / "a.mp4", seconds=3))
    assert visit.conversation.turns[-1].answer == "两个人推搡。"
    assert [chat.body["model"] for chat in server.chats] == ["base"]


def test_the_trained_question_about_nothing_is_not_described(server: ScriptedServer, tmp_path: Path) -> None:
    visit = answered(server, tmp_path, FIGHT.text)
    assert visit.conversation.turns[-1].answer == "是的。" and len(server.chats) == 1
