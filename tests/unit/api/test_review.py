"""The review over HTTP: what to filter by, marks of many, why an event alarmed and who was told, small pictures."""

import io
import json
import zipfile
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from api_service import EVENT, PASSWORD, Service
from api_service import event as made_event
from vigil.events import Event
from vigil.store import Store
from vigil.store.deliveries import Delivery
from vigil.store.times import utc_now
from waiting import until

LATER_S = 1_770_000_000.0
"""The events of this module happened long after those of the others, whose lists they leave alone."""


def event(number: int, **more: Any) -> Event:
    return made_event(number, epoch_s=LATER_S, **more)


def test_what_events_can_be_filtered_by(asking: httpx.Client) -> None:
    told = asking.get("/events/choices").json()
    assert {(each["name"], each["place"]) for each in told["cameras"]} >= {("yard", "gate"), ("door", "")}
    assert told["places"] == ["gate"] and told["rules"] == ["incident"]


def test_the_count_is_that_of_the_list(asking: httpx.Client) -> None:
    listed = asking.get("/events", params={"text": "number"}).json()["events"]
    assert asking.get("/events/count", params={"text": "number"}).json()["events"] == len(listed) == 4
    assert asking.get("/events/count", params={"since": "yesterday"}).status_code == 400


def test_many_are_marked_in_one_request_and_each_is_in_the_audit_table(service: Service, asking: httpx.Client) -> None:
    with Store.open(service.store) as store:
        for number in range(20, 24):
            store.events.save(event(number))
    ids = [f"e{number:04d}" for number in range(20, 24)]
    said = {"events": [*ids, "nosuch", ids[0]], "mark": "false_alarm", "note": "雨 rain"}
    answer = asking.post("/events/marks", json=said)
    assert answer.status_code == 201 and answer.json()["missing"] == ["nosuch"]
    assert [each["event"] for each in answer.json()["marked"]] == ids
    for event_id in ids:
        told = asking.get(f"/events/{event_id}").json()
        assert (told["mark"], told["note"], len(told["marks"])) == ("false_alarm", "雨 rain", 1)

    def audited() -> set[str]:
        entries = asking.get("/audit", params={"limit": 50}).json()["entries"]
        return {each["details"].get("event", "") for each in entries if each["act"] == "mark an event"}

    until(lambda: audited() >= set(ids))
    assert {each["replaced"] for each in answer.json()["marked"]} == {None}
    undone = asking.post("/events/marks", json={"events": ids, "mark": ""})
    assert undone.status_code == 201
    replaced = [each["replaced"] for each in undone.json()["marked"]]
    assert [(mark["mark"], mark["note"]) for mark in replaced] == [("false_alarm", "雨 rain")] * 4
    assert asking.get(f"/events/{ids[0]}").json()["state"] == "alarm"


@pytest.mark.parametrize(
    "said",
    [
        {"events": [], "mark": "true"},
        {"events": [f"e{number}" for number in range(501)], "mark": "true"},
        {"events": ["../x"], "mark": "true"},
        {"events": ["e1"], "mark": "huge"},
        {"events": ["e1"], "mark": "true", "note": "x" * 4001},
        {"events": "e1", "mark": "true"},
        {"mark": "true"},
    ],
)
def test_wrong_marks_of_many_are_refused(asking: httpx.Client, said: object) -> None:
    answer = asking.post("/events/marks", json=said)
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"


def test_why_an_event_alarmed(asking: httpx.Client) -> None:
    told = asking.get(f"/events/{EVENT}/why").json()
    assert told["model"] == "tiny" and told["are_kept"] and told["tiers"]["high"] == 0.92
    [window] = told["windows"]
    assert (window["part"], window["p_alarm"], window["tier"], window["frames"]) == ("within", 0.97, "high", 2)
    assert told["rule"] is None and not window["voted"], "the store's rule is none of this service's"
    assert told["clip"]["state"] == "whole" and told["clip"]["begins_s"] == 7.0 and not told["clip"]["is_exact"]
    assert told["calibration"] is None


def test_the_windows_that_opened_an_event_are_told_under_its_rule(service: Service, asking: httpx.Client) -> None:
    with Store.open(service.store) as store:
        store.events.save(event(30, rule="fight_en", end_s=None, closed_because=""))
    told = asking.get("/events/e0030/why").json()
    assert told["rule"] == {
        **told["rule"],
        "name": "fight_en",
        "type": "hysteresis",
        "k": 2,
        "n": 3,
        "opens_from": 0.75,
    }
    assert [each["voted"] for each in told["windows"]] == [True] and not told["are_kept"]
    assert told["clip"]["state"] == "open"
    with Store.open(service.store) as store:
        store.events.save(event(30, rule="fight"))
    assert asking.get("/events/e0030/why").json()["clip"]["state"] == "missing"


def test_a_clip_whose_file_is_gone_is_told(service: Service, asking: httpx.Client) -> None:
    with Store.open(service.store) as store:
        store.events.save(event(31))
        clip = store.media.keep("e0031", "clips", ".mp4", lambda to: to.write_bytes(b"x") and 12.5)
    assert asking.get("/events/e0031/why").json()["clip"] == {
        "state": "whole",
        "codec": "",
        "why": "",
        "begins_s": 12.5,
        "is_exact": True,
    }
    clip.unlink()
    assert asking.get("/events/e0031/why").json()["clip"]["state"] == "deleted"


def test_who_was_told_with_every_attempt(service: Service, asking: httpx.Client) -> None:
    assert asking.get("/events/e0002/deliveries").json() == {"event": "e0002", "sinks": [], "deliveries": []}
    with Store.open(service.store) as store:
        number = store.changes.last()
        store.deliveries.begin("alerts:hook", at=number - 1)
        now = utc_now()
        planned = Delivery(
            sink="hook",
            incident_id="e0002",
            revision=1,
            event_id="e0002",
            camera_id="",
            scope="door",
            kind="opened",
            sequence=number,
            event={},
            happened_utc=now,
            active_utc=now,
            due_utc=now,
        )
        [made] = store.deliveries.plan("hook", lambda *_: planned, consumer="alerts:hook", now_utc=now) or []
        store.deliveries.record(made, state="waiting", detail="503 from the hook", due_utc=now)
        store.deliveries.record(made, state="delivered")
    [told] = asking.get("/events/e0002/deliveries").json()["deliveries"]
    assert (told["sink"], told["state"], told["kind"]) == ("hook", "delivered", "opened")
    assert [(each["outcome"], each["detail"]) for each in told["attempts"]] == [
        ("failed", "503 from the hook"),
        ("delivered", ""),
    ]


def width_of(jpeg: bytes) -> int:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return int(image.shape[1])


def test_pictures_come_small_too(asking: httpx.Client) -> None:
    for path in (f"/events/{EVENT}/thumbnail", f"/events/{EVENT}/snapshot", f"/events/{EVENT}/frames/1/0"):
        answer = asking.get(path, params={"width": 64})
        assert answer.headers["content-type"] == "image/jpeg" and width_of(answer.content) == 64
        again = asking.get(path, params={"width": 64}, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and not again.content
        assert width_of(asking.get(path, params={"width": 960}).content) == 128, "none is made larger"
    assert asking.get("/events/e0002/thumbnail").json()["type"].endswith(":not-found")
    assert asking.get(f"/events/{EVENT}/thumbnail", params={"width": 100_000}).status_code == 422


def test_an_event_without_a_snapshot_has_a_frame_for_its_thumbnail(service: Service, asking: httpx.Client) -> None:
    from api_service import picture

    with Store.open(service.store) as store:
        store.events.save(event(32))
        store.media.keep_frames("e0032", 1, [picture(10), picture(250)])
    assert asking.get("/events/e0032/thumbnail").status_code == 200


def test_the_judged_frames_are_one_zip_with_the_record(asking: httpx.Client) -> None:
    answer = asking.get(f"/events/{EVENT}/frames.zip")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["event.json", "000001/0.jpg", "000001/1.jpg"] and archive.testzip() is None
    assert json.loads(archive.read("event.json"))["event"] == EVENT
    assert archive.read("000001/0.jpg") == asking.get(f"/events/{EVENT}/frames/1/0").content
    assert asking.get("/events/e0003/frames.zip").status_code == 404


@pytest.mark.parametrize("part", ["why", "deliveries", "thumbnail", "frames.zip"])
def test_an_event_that_does_not_exist_is_not_found(asking: httpx.Client, part: str) -> None:
    assert asking.get(f"/events/nosuch/{part}").status_code == 404


def test_a_viewer_looks_and_does_not_mark(guarded: Service) -> None:
    span = {"since": "2025-10-09T08:53:00Z", "until": "2025-10-09T08:53:20Z"}
    with guarded.client(auth=("vera", PASSWORD)) as vera:
        assert vera.get(f"/events/{EVENT}/why").status_code == 200
        assert vera.get(f"/events/{EVENT}/deliveries").status_code == 200
        assert vera.post("/events/marks", json={"events": [EVENT], "mark": "true"}).status_code == 403
        assert vera.post("/cameras/yard/missed", json=span).status_code == 403
    with guarded.client(auth=("otto", PASSWORD)) as otto:
        made = otto.post("/cameras/yard/missed", json=span)
        assert made.status_code == 201 and made.json()["marked_by"] == "otto"
        assert otto.post("/events/marks", json={"events": [EVENT], "mark": "true"}).status_code == 201
    with guarded.client(auth=("vera", PASSWORD)) as vera:
        assert vera.delete(f"/missed/{made.json()['missed']}").status_code == 403
        assert vera.get("/missed").json()["total"] == 1
    with guarded.client(auth=("otto", PASSWORD)) as otto:
        otto.post("/events/marks", json={"events": [EVENT], "mark": ""})
