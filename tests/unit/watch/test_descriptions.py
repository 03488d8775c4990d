"""The words of a watch's alarms, where the model was trained on verdicts alone."""

import asyncio
from dataclasses import replace
from pathlib import Path

from judging import IDS, SAMPLING, TASK, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.manifest import Contract
from watching import Notes, film, is_bright, watched


def _answer(request: Request) -> Reply:
    if request.body.get("stream"):
        return stream("Two", " people", " push.")
    return yes(-0.02, -4.0) if is_bright(request) else no()


def test_each_alarm_is_put_into_words_by_one_question_of_its_own(tmp_path: Path) -> None:
    notes = Notes()
    with ScriptedServer() as server:
        alias = replace(Contract.of(TASK, SAMPLING), answers="verdict").alias
        server.models = ["tiny", alias]
        server.routes["/tokenize"] = tokenized(IDS)
        server.default = _answer
        asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=12, bright=[(4, 9)])], notes))
        chats = server.chats
    alarms = [judged for judged in notes.told_ if judged.verdict.outcome == "alarm"]
    assert alarms and {judged.verdict.text for judged in alarms} == {"Two people push."}
    words = [chat for chat in chats if chat.body.get("stream")]
    assert {chat.text for chat in words} == {TASK.description_question}
    assert (len(words), len(chats)) == (len(alarms), len(notes.told_) + len(alarms))
    assert [change.event.text for change in notes.changes][-1] == "Two people push."
