"""A watch of a question with ten labels: one request of one token a window, and events that bear their class."""

import asyncio
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from judging import tokenized
from scripted_server import Reply, Request, ScriptedServer, chat
from vigil.questions import load_question
from vigil.store import Store
from vigil.verdict import Cause
from watching import Notes, film, is_bright, watched

NINE = load_question("anomaly9")
IDS = {label: [10 + number, 99] for number, label in enumerate(NINE.words())}
CALM = {"正常": 0.97}
SMOKE = {"烟雾": 0.9, "剧烈冲突": 0.06}


def says(p: Mapping[str, float]) -> Reply:
    """The answer of one token with these probabilities of labels, and next to none of the others."""
    logs = {f"token_id:{IDS[label][0]}": math.log(p.get(label, 1e-6)) for label in IDS}
    return chat(max(p, key=p.__getitem__)[:1], logprobs=logs)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that sees smoke where the picture is bright."""
    with ScriptedServer(models=["tiny"]) as running:
        running.routes["/tokenize"] = tokenized(IDS)
        running.default = lambda request: says(SMOKE if is_bright(request) else CALM)
        yield running


def test_a_window_costs_one_request_and_its_event_has_a_class_in_the_store(
    server: ScriptedServer, tmp_path: Path
) -> None:
    notes = Notes()
    source = film(tmp_path / "a.mp4", seconds=32, bright=[(6, 16)])
    with Store.open(tmp_path / "e.db") as store:
        asyncio.run(watched(server, [source], notes, store=store, describe="never", question=NINE))
        [event] = store.events.find()
        assert (event.label, event.rule, event.tier.value) == ("烟雾", "anomaly9", "high")
        assert event.peak == pytest.approx(0.96 / (0.96 + 8e-6), abs=1e-3)
        assert {each.label for each in event.windows if (each.p_alarm or 0) > 0.5} == {"烟雾"}
        assert store.changes.after(0)[0].record["label"] == "烟雾"
        stored = store.verdicts.around(event, margin_s=0.0)
        assert {each.verdict.alarm_label for each in stored if (each.verdict.p_alarm or 0) > 0.5} == {"烟雾"}
        assert all(set(each.verdict.probabilities) == set(IDS) for each in stored)
    asked = [request for request in server.requests if request.path.endswith("/chat/completions")]
    windows = len(notes.judged_)
    assert windows <= len(asked) <= windows + 2
    assert all(len(json.dumps(request.body.get("logprob_token_ids"))) > 30 for request in asked[-3:])


def test_a_model_that_answers_in_another_language_is_unknown_and_never_normal(
    server: ScriptedServer, tmp_path: Path
) -> None:
    def foreign(request: Request) -> Reply:
        logs = {f"token_id:{split[0]}": math.log(0.01) for split in IDS.values()}
        return chat("Smoke", logprobs={**logs, "token_id:500": math.log(0.8)})

    server.default = foreign
    notes = Notes()
    source = film(tmp_path / "a.mp4", seconds=8, bright=[(2, 6)])
    asyncio.run(watched(server, [source], notes, describe="never", question=NINE))
    assert notes.judged_ and {judged.verdict.cause for judged in notes.judged_} == {Cause.OUTSIDE}
    assert notes.changes == []
