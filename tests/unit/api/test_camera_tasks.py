"""Questions of a camera over REST: added, told, kept after a restart, taken away; and what may not be asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import http_camera
from api_service import filled_store, service_at
from scripted_server import ScriptedServer
from waiting import until
from watching import film

SMOKE = {"ask": "Is there smoke?", "name": "smoke"}
ARMED = {"ask": "Is he armed?", "ask_when": {"question": "smoke", "p_from": 0.6}}


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Iterator[http_camera.HttpCamera]:
    """A camera whose pictures are always bright, so that every answer is Yes."""
    source = film(tmp_path_factory.mktemp("film") / "a.mp4", seconds=8, bright=[(0, 8)])
    with http_camera.serving(source) as running:
        yield running


def rules_of_events(asking: httpx.Client) -> set[str]:
    return {each["rule"] for each in asking.get("/events", params={"camera": "door"}).json()["events"]}


def asked_of(camera: dict[str, Any]) -> list[str]:
    return [each["ask"] or each["question"] for each in camera["tasks"]]


def test_a_camera_has_questions_of_its_own_also_after_a_restart(
    endpoint: ScriptedServer, bright: http_camera.HttpCamera, tmp_path: Path
) -> None:
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    words = ("--allow-camera", f"127.0.0.1:{bright.server_address[1]}")
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as service, service.client() as asking:
        until(lambda: asking.get("/status").json()["is_watching"])
        address = bright.address("live.mjpg")
        made = asking.post("/cameras", json={"address": address, "name": "door", "tasks": [SMOKE, ARMED]}).json()
        smoke, armed = made["tasks"]
        assert (smoke["rule"], smoke["title"], smoke["language"]) == ("smoke", "Is there smoke?", "en")
        assert "Is there smoke?" in smoke["text"] and smoke["ask_when"] is None
        assert (armed["rule"], armed["ask_when"]["p_from"], armed["ask_when"]["question"]) == (
            "Is he armed?",
            0.6,
            "smoke",
        )
        assert [each["name"] for each in asking.get("/rules").json()["rules"]] == ["fight_en"]
        rules = asking.get("/rules", params={"camera": made["id"]}).json()["rules"]
        assert [(each["name"], each["labels"]) for each in rules] == [
            ("fight_en", []),
            ("smoke", ["alarm"]),
            ("Is he armed?", ["alarm"]),
        ]
        until(lambda: rules_of_events(asking) == {"fight_en", "smoke", "Is he armed?"})
        own = {"thresholds": [{"rule": "smoke", "k": 1}], "rules": ["smoke"]}
        patched = asking.patch("/cameras/door", json=own).json()
        assert patched["rules"] == ["smoke"] and asked_of(patched) == ["Is there smoke?", "Is he armed?"]
        is_closed = {"camera": "door", "is_open": False}
        until(lambda: {e["rule"] for e in asking.get("/events", params=is_closed).json()["events"]} == {"fight_en"})
        (said,) = [e for e in asking.get("/audit").json()["entries"] if "tasks" in e["details"]]
        assert said["details"]["tasks"] == "Is there smoke?, Is he armed?"
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as again, again.client() as asking:
        until(lambda: asking.get("/status").json()["is_watching"])
        there = asking.get("/cameras/door").json()
        assert asked_of(there) == ["Is there smoke?", "Is he armed?"] and there["problems"] == []
        # With the question go its thresholds and the choice of its rule.
        left = asking.patch("/cameras/door", json={"tasks": []}).json()
        assert (left["tasks"], left["rules"], left["thresholds"]) == ([], [], [])


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({}, "either a question"),
        ({"ask": ""}, "either a question"),
        ({"ask": "x" * 100_000}, "at most 500 characters"),
        ({"ask": "Is <video> dark?"}, "'<video>'"),
        ({"ask": "Is it \x00dark?"}, "without control characters"),
        ({"aks": "Is it dark?"}, "did you mean 'ask'?"),
        ({"question": "fight_en"}, "the watch's own question"),
        ({"question": "falls"}, "no tasks configuration 'falls'"),
        ({"question": "/etc/passwd.yaml"}, "not by a path"),
        ({"question": "../fall"}, "not by a path"),
        ({"question": "describe"}, "has no labels"),
        ({"ask": "Is it dark?", "name": "fight_en"}, "a rule of that name already"),
        ({"ask": "Is it dark?", "ask_when": {"question": "smoke"}}, "which is not asked before it"),
        ({"ask": "Is it dark?", "ask_when": {"label": "smoke"}}, "the labels of fight_en are: alarm, normal"),
        ({"ask": "Is it dark?", "ask_when": {"p_from": 0}}, "greater than 0"),
    ],
)
def test_questions_that_are_wrong_are_told_and_nothing_is_changed(
    asking: httpx.Client, camera: http_camera.HttpCamera, task: dict[str, Any], said: str
) -> None:
    asking.post("/cameras", json={"address": camera.address("live.mjpg"), "name": "asked"})
    until(lambda: asking.get("/status").json()["is_watching"])
    answer = asking.patch("/cameras/asked", json={"tasks": [task]})
    assert answer.status_code in (400, 422) and said in answer.text, answer.text
    now = asking.get("/cameras/asked").json()
    assert (now["tasks"], now["rules"], now["problems"]) == ([], [], [])
    assert asking.delete("/cameras/asked").status_code == 204
