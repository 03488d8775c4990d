"""Cameras added, tried, changed, paused and removed, on a service that runs; what was added survives a restart."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import http_camera
from api_service import Service, filled_store, service_at
from scripted_server import ScriptedServer
from vigil.frames import decode_jpeg
from vigil.store import Store
from waiting import until

LEFT = {"kind": "privacy", "points": [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]}


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://127.0.0.1:9/x",
        "rtsp://localhost:9/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]:9/x",
        "http://[::ffff:127.0.0.1]:9/x",
        "http://0x7f000001:9/x",
        "http://2130706433:9/x",
        "http://10.0.0.1/x",
        "file:///etc/passwd",
        "concat:/etc/passwd",
        "/etc/passwd",
        "../events.db",
        "C:\\\\x",
        "7",
        "https://",
        "http://127.0.0.1:99999/",
    ],
)
def test_an_address_that_is_not_allowed_is_not_opened(asking: httpx.Client, address: str) -> None:
    for path in ("/cameras", "/cameras/test"):
        answer = asking.post(path, json={"address": address})
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert asking.get("/cameras").json()["cameras"] == []


def test_an_address_is_tried_before_it_is_added(asking: httpx.Client, camera: http_camera.HttpCamera) -> None:
    told = asking.post("/cameras/test", json={"address": camera.address("live.mjpg")}).json()
    assert (told["width_px"], told["height_px"], told["codec"]) == (320, 240, "mjpeg")
    assert told["picture"].startswith("data:image/jpeg;base64,")
    gone = asking.post("/cameras/test", json={"address": camera.address("nothing-here")})
    assert gone.status_code == 422 and gone.json()["type"].endswith(":source")


def test_a_camera_lives_through_changes_and_a_restart(
    endpoint: ScriptedServer, camera: http_camera.HttpCamera, tmp_path: Path
) -> None:
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    words = ("--allow-camera", f"127.0.0.1:{camera.server_address[1]}")
    address = camera.address("live.mjpg")
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as service, service.client() as asking:
        until(lambda: asking.get("/status").json()["is_watching"])
        made = asking.post("/cameras", json={"address": address, "name": "door", "place": "north gate"})
        assert made.status_code == 201, made.text
        assert made.json()["place"] == "north gate" and made.json()["id"].startswith("cam_")
        assert asking.post("/cameras", json={"address": address}).status_code == 409
        camera_id = made.json()["id"]
        until(lambda: asking.get(f"/cameras/{camera_id}").json()["judged"] > 0)
        until(lambda: asking.get("/cameras/door").json()["is_current"])
        now = asking.get("/cameras/door").json()
        assert now["id"] == camera_id and now["width_px"] == 320
        until(lambda: asking.get("/cameras/door").json()["lag_s"] is not None)
        assert asking.get("/cameras/door/verdicts").json()["verdicts"]
        again = asking.post("/cameras/test", json={"address": "door"})
        assert again.status_code == 200 and again.json()["width_px"] == 320
        # The scripted endpoint declares no contract that could differ.
        assert asking.get("/status").json()["differences"] is None
        until(lambda: asking.get("/cameras/door/picture").status_code == 200)
        shot = asking.get("/cameras/door/picture")
        until(lambda: is_newer(asking, shot))
        paused = asking.post("/cameras/door/pause").json()
        assert paused["is_paused"] and paused["p_alarm"] is None and paused["lag_s"] is None
        assert not asking.post("/cameras/door/resume").json()["is_paused"]
        changed = asking.patch("/cameras/door", json={"name": "front door"}).json()
        assert changed["name"] == "front door" and changed["id"] == camera_id and changed["place"] == "north gate"
        assert asking.get("/cameras/door").status_code == 404
        masked = asking.patch("/cameras/front door", json={"masks": [LEFT]})
        assert masked.status_code == 200 and masked.json()["masks"] == [LEFT]
        until(lambda: is_masked(asking.get("/cameras/front door/picture")))
        tried = asking.post("/cameras/test", json={"address": address}).json()["picture"]
        assert is_dark(base64.b64decode(tried.partition(",")[2]))
        asking.post("/cameras/front door/pause")
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as again, again.client() as asking:
        (there,) = asking.get("/cameras").json()["cameras"]
        assert (there["name"], there["id"], there["place"]) == ("front door", camera_id, "north gate")
        assert there["is_paused"] and there["masks"] == [LEFT]
        assert not asking.post("/cameras/front door/resume").json()["is_paused"]
        until(lambda: asking.get("/cameras/front door/picture").status_code == 200)
        assert is_masked(asking.get("/cameras/front door/picture"))
        assert asking.delete("/cameras/front door").status_code == 204
        assert asking.get("/cameras").json()["cameras"] == []
        assert asking.delete("/cameras/front door").status_code == 404


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ([{"kind": "privacy", "points": [[0, 0], [1, 1]]}], "at least 3"),
        ([{"kind": "privacy", "points": [[0.5, 0.5]] * 10_000}], "at most 100"),
        ([{"kind": "privacy", "points": [[0, 0], [1, 0], [2, 1]]}], "inside the picture"),
        ([{"kind": "privacy", "points": [[0, 0], [1, 1], [1, 0], [0, 0.9]]}], "edges that cross"),
        ([{"kind": "hidden", "points": [[0, 0], [1, 0], [1, 1]]}], "privacy"),
        ([{"kind": "privacy", "points": [[0, 0], [1, 0], ["NaN", 1]]}], "inside the picture"),
        ([LEFT] * 33, "at most 32"),
    ],
)
def test_a_mask_that_is_none_is_told(
    asking: httpx.Client, camera: http_camera.HttpCamera, masks: list[object], said: str
) -> None:
    asking.post("/cameras", json={"address": camera.address("live.mjpg"), "name": "shown"})
    answer = asking.patch("/cameras/shown", json={"masks": masks})
    assert answer.status_code in (400, 422) and said in answer.text
    assert asking.get("/cameras/shown").json()["masks"] == []
    assert asking.delete("/cameras/shown").status_code == 204


def is_newer(asking: httpx.Client, shot: httpx.Response) -> bool:
    """Whether the door tells another picture after this one, within ten seconds."""
    newer = asking.get("/cameras/door/picture", params={"after": shot.headers["X-Second"], "wait_s": 10})
    return newer.status_code == 200 and float(newer.headers["X-Second"]) > float(shot.headers["X-Second"])


def is_masked(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and is_dark(answer.content)


def is_dark(jpeg: bytes) -> bool:
    image = decode_jpeg(jpeg)
    return int(image[:, : image.shape[1] // 2].max()) < 12


def test_a_form_with_a_misspelt_field_is_refused(asking: httpx.Client, service: Service) -> None:
    answer = asking.post("/cameras", json={"adress": "rtsp://127.0.0.1:9/x"})
    assert answer.status_code == 422 and {each["field"] for each in answer.json()["errors"]} >= {"body.adress"}


OWN = {"rule": "fight_en", "k": 1, "n": 2, "quiet_s": 9.0, "tiers": {"high": 0.97}}


def own_of(camera: dict[str, Any]) -> list[dict[str, Any]]:
    """The thresholds of a camera as they were asked for, without what is null."""
    told = [{name: value for name, value in each.items() if value is not None} for each in camera["thresholds"]]
    return [
        each | ({"tiers": {k: v for k, v in each["tiers"].items() if v is not None}} if "tiers" in each else {})
        for each in told
    ]


def test_a_camera_has_rules_thresholds_and_a_schedule_of_its_own_also_after_a_restart(
    endpoint: ScriptedServer, camera: http_camera.HttpCamera, tmp_path: Path
) -> None:
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    words = ("--allow-camera", f"127.0.0.1:{camera.server_address[1]}")
    shut = f"{datetime.now(UTC) + timedelta(hours=2):%H:%M}-{datetime.now(UTC) + timedelta(hours=4):%H:%M}"
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as service, service.client() as asking:
        until(lambda: asking.get("/status").json()["is_watching"])
        (rule,) = asking.get("/rules").json()["rules"]
        assert (rule["name"], rule["type"], rule["k"], rule["n"]) == ("fight_en", "hysteresis", 2, 3)
        asked = {"address": camera.address("live.mjpg"), "name": "door", "thresholds": [OWN]}
        wrong = asking.post("/cameras", json=asked | {"rules": ["fihgt_en"]})
        assert wrong.status_code == 400 and "did you mean 'fight_en'?" in wrong.json()["detail"]
        assert asking.get("/cameras").json()["cameras"] == [], "nothing is added if something is wrong"
        made = asking.post("/cameras", json=asked | {"rules": ["fight_en"]}).json()
        assert (made["rules"], own_of(made), made["schedule"]) == (["fight_en"], [OWN], "")
        assert made["is_scheduled"] and made["tiers"] == {"low": 0.75, "medium": 0.85, "high": 0.97}
        assert asking.get("/cameras/door/verdicts").json()["tiers"]["high"] == 0.97
        until(lambda: asking.get("/events", params={"camera": "door", "is_open": True}).json()["events"])
        (event,) = asking.get("/events", params={"camera": "door"}).json()["events"]
        why = asking.get(f"/events/{event['event']}/why").json()
        assert (why["rule"]["k"], why["rule"]["quiet_s"], why["tiers"]["high"]) == (1, 9.0, 0.97)
        patched = asking.patch("/cameras/door", json={"schedule": shut, "timezone": "UTC"}).json()
        assert (patched["schedule"], patched["timezone"], patched["is_scheduled"]) == (shut, "UTC", False)
        assert own_of(patched) == [OWN] and patched["rules"] == ["fight_en"], "what is left out stays"
        until(lambda: asking.get(f"/events/{event['event']}").json()["end_s"] is not None)
        assert asking.get(f"/events/{event['event']}").json()["closed_because"] == "the schedule ended"
        (said,) = [each for each in asking.get("/audit").json()["entries"] if "schedule" in str(each["details"])]
        assert shut in str(said["details"])
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as again, again.client() as asking:
        until(lambda: asking.get("/status").json()["is_watching"])
        there = asking.get("/cameras/door").json()
        assert (there["rules"], own_of(there), there["schedule"]) == (["fight_en"], [OWN], shut)
        judged = there["judged"]
        until(lambda: asking.get("/cameras/door").json()["judged"] > judged)
        assert len(asking.get("/events", params={"camera": "door"}).json()["events"]) == 1, "outside nothing opens"
        free = asking.patch("/cameras/door", json={"rules": [], "thresholds": [], "schedule": ""}).json()
        assert (free["rules"], free["thresholds"], free["schedule"], free["timezone"]) == ([], [], "", "")
        until(lambda: len(asking.get("/events", params={"camera": "door"}).json()["events"]) == 2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rules": ["fihgt_en"]}, "there is no rule 'fihgt_en'; did you mean 'fight_en'?"),
        ({"thresholds": [{"rule": "fight_en", "quiets": 3}]}, "unknown key 'quiets' (did you mean 'quiet_s'?)"),
        ({"thresholds": [{"rule": "fight_en", "tiers": {"hihg": 1}}]}, "did you mean 'high'?"),
        (
            {"thresholds": [{"rule": "fight_en", "k": 7}]},
            "the thresholds of fight_en: k must be from 1 to n, not 7 of 3",
        ),
        ({"thresholds": [{"rule": "fight_en", "for_s": 7}]}, "a hysteresis rule has no for_s"),
        ({"thresholds": [{"rule": "fight_en", "quiet_s": "inf"}]}, "finite"),
        ({"thresholds": [{"rule": "fight_en", "tiers": {"low": 2}}]}, "less than or equal to 1"),
        ({"schedul": "22:00-06:00"}, "did you mean 'schedule'?"),
        ({"schedule": "mno 22:00-06:00"}, "did you mean mon?"),
        ({"schedule": "25:00-26:00"}, "times go from 00:00 to 24:00"),
        ({"schedule": "22:00-06:00", "timezone": "Europe/Berln"}, "did you mean Europe/Berlin?"),
        ({"timezone": "UTC"}, "timezone is that of a schedule, and there is none"),
        ({"rules": ["fight_en"] * 65}, "at most 64"),
        ({"name": "other", "rules": ["nothing"]}, "there is no rule 'nothing'; there are: fight_en"),
    ],
)
def test_rules_of_a_camera_that_are_wrong_are_told_and_nothing_is_changed(
    asking: httpx.Client, camera: http_camera.HttpCamera, asked: dict[str, Any], said: str
) -> None:
    asking.post("/cameras", json={"address": camera.address("live.mjpg"), "name": "ruled"})
    answer = asking.patch("/cameras/ruled", json=asked)
    assert answer.status_code in (400, 422) and said in answer.text, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    now = asking.get("/cameras/ruled").json()
    assert (now["rules"], now["thresholds"], now["schedule"], now["problems"]) == ([], [], "", [])
    assert asking.delete("/cameras/ruled").status_code == 204


def test_the_view_of_a_camera_is_said_to_be_right_if_a_rule_compares_with_it(
    endpoint: ScriptedServer, camera: http_camera.HttpCamera, tmp_path: Path
) -> None:
    config = tmp_path / "watch.yaml"
    config.write_text("rules:\n  - {type: hysteresis}\n  - {type: camera, fault: moved}\n")
    words = ("--allow-camera", f"127.0.0.1:{camera.server_address[1]}", "--config", str(config))
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    with service_at(endpoint.url, *words, folder=tmp_path, store=store) as service, service.client() as asking:
        asking.post("/cameras", json={"address": camera.address("live.mjpg"), "name": "door"})
        answer = asking.post("/cameras/door/view")
        assert answer.status_code == 200 and answer.json()["has_usual_view"]
        assert asking.post("/cameras/nosuch/view").status_code == 404
        camera_id = answer.json()["id"]
        until(lambda: any(each["act"] == "accept the view of a camera" for each in acts(asking)))
        with Store.open(store, create=False) as opened:
            until(lambda: opened.camera_views.of(camera_id).views and not opened.camera_views.requests())
        asking.patch("/cameras/door", json={"rules": ["fight_en"]})
        refused = asking.post("/cameras/door/view")
        assert refused.status_code == 409 and "no rule of door is about its view" in refused.json()["detail"]


def acts(asking: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asking.get("/audit").json()["entries"]
    return found
