"""Cameras added, tried, changed, paused and removed, on a service that runs; what was added survives a restart."""

import base64
from pathlib import Path

import httpx
import pytest

import http_camera
from api_service import Service, filled_store, service_at
from scripted_server import ScriptedServer
from vigil.frames import decode_jpeg
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
