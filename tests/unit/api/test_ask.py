"""Questions to the past over HTTP: whole and line by line, who may ask, and what is written down."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api_service import Service
from scripted_server import Answer, Request, ScriptedServer, stream
from vigil.store import Store
from vigil.store.users import Role
from waiting import until

ASKED = {"question": "did two people push in the yard?"}


@pytest.fixture
def model(endpoint: ScriptedServer) -> Iterator[ScriptedServer]:
    """The served model, which looks at pictures again when the test is over."""
    before: Answer = endpoint.default
    yield endpoint
    endpoint.default = before


def says(model: ScriptedServer, *pieces: str) -> list[Request]:
    """Makes the model answer so; returns where the questions come that it is asked."""
    asked: list[Request] = []

    def answer(request: Request) -> Any:
        asked.append(request)
        return stream(*pieces)

    model.default = answer
    return asked


def test_an_answer_has_its_sentences_with_their_records(asking: httpx.Client, model: ScriptedServer) -> None:
    asked = says(model, "Two people push [E1].", " More [E8].")
    told = asking.post("/ask", json=ASKED).json()
    assert told["outcome"] == "answered" and told["unknown_refs"] == ["E8"] and told["model"] == "tiny"
    assert told["sentences"] == [{"text": "Two people push.", "refs": ["E1"]}, {"text": "More.", "refs": []}]
    assert told["words"] == "two push yard" or told["words"] == "two push"
    [camera] = told["cameras"]
    assert camera["name"] == "yard" and told["events"] == 1 and told["records"][0]["camera"] == "yard"
    assert "two people push" in asked[0].text


def test_an_answer_comes_line_by_line(asking: httpx.Client, model: ScriptedServer) -> None:
    says(model, "Two people ", "push [E1].")
    with asking.stream("POST", "/ask/stream", json=ASKED) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert [next(iter(line)) for line in lines] == ["found", "piece", "piece", "answer"]
    assert lines[0]["found"]["records"][0]["ref"] == "E1" and lines[-1]["answer"]["sentences"][0]["refs"] == ["E1"]


def test_where_nothing_was_recorded_no_model_is_asked(asking: httpx.Client, model: ScriptedServer) -> None:
    asked = says(model, "A horse [E1].")
    told = asking.post("/ask", json={"question": "谁骑马了", "since": "2020-01-01"}).json()
    assert told["outcome"] == "nothing_recorded" and told["sentences"] == [] and asked == []
    told = asking.post("/ask", json=ASKED | {"model": False}).json()
    assert told["outcome"] == "records_only" and told["records"] and asked == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"question": ""}, 422),
        ({"question": " "}, 400),
        ({"question": "x" * 100_000}, 422),
        ({"question": "打架", "since": "nonsense"}, 400),
        ({"question": "打架", "since": "2026-02-01", "until": "2026-01-01"}, 400),
        ({"question": "打架", "camera": "nosuch"}, 400),
        ({"question": "打架", "limit": 0}, 422),
        ({"question": "打架", "sinse": "1h"}, 422),
        ({}, 422),
    ],
)
def test_what_cannot_be_asked_is_a_problem(asking: httpx.Client, said: dict[str, Any], status: int) -> None:
    for path in ("/ask", "/ask/stream"):
        answer = asking.post(path, json=said)
        assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json", path


@pytest.mark.parametrize("question", ['" OR 1=1 --', "terms:* NEAR(a b)", "'; DROP TABLE events; --", "%_\\", "\x00"])
def test_a_hostile_question_is_text(asking: httpx.Client, model: ScriptedServer, question: str) -> None:
    says(model, "nothing")
    assert asking.post("/ask", json={"question": f"door {question}"}).status_code == 200
    assert asking.get("/events").json()["events"]


def test_a_viewer_may_ask_and_the_question_is_in_the_audit_table(guarded: Service) -> None:
    with Store.open(guarded.store) as store:
        reader = store.api_keys.add("reader", Role.VIEWER, scopes=("events",)).secret
        listener = store.api_keys.add("listener", Role.VIEWER, scopes=("live",)).secret
        with guarded.client(key=reader) as client:
            assert client.post("/ask", json=ASKED | {"model": False}).status_code == 200
        with guarded.client(key=listener) as client:
            assert client.post("/ask", json=ASKED).status_code == 403
        with guarded.client() as client:
            assert client.post("/ask", json=ASKED).status_code == 401
        until(lambda: any(act.act == "ask" for act in store.audit.newest()))
        acts = [act for act in store.audit.newest() if act.act == "ask"]
    assert len(acts) == 1 and acts[0].who.startswith("key reader") and acts[0].details["question"] == ASKED["question"]
