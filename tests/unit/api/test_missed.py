"""Missed incidents and the strips of cameras over HTTP."""

import csv
import io
from datetime import datetime

import httpx
import pytest

from api_service import Service
from vigil.store import CameraRecord, Store
from vigil.store.times import format_utc
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict

EPOCH_S = 1_760_000_000.0
"""2025-10-09T08:53:20Z: second 0 of the events of the store."""

SPAN = {"since": "2025-10-09T08:53:21Z", "until": "2025-10-09T08:53:29Z"}
EVIL = "<img src=x onerror=alert(1)>'); DROP TABLE marks; --"


def at(second: float) -> str:
    return format_utc(EPOCH_S + second)


def test_a_missed_incident_is_added_listed_exported_counted_and_taken_back(asking: httpx.Client) -> None:
    made = asking.post("/cameras/yard/missed", json=SPAN | {"note": f"两个人 {EVIL}"})
    assert made.status_code == 201, made.text
    span = made.json()
    assert span["source"] == "yard" and span["marked_by"] == "local"
    assert datetime.fromisoformat(span["from_utc"]).timestamp() == EPOCH_S + 1
    for filters in ({}, {"camera": "yard"}, {"place": "gate"}, {"text": "两个人"}, {"text": "DROP"}, {"text": "yar"}):
        assert [each["missed"] for each in asking.get("/missed", params=filters).json()["missed"]] == [span["missed"]]
    for filters in ({"camera": "door"}, {"place": "x"}, {"text": "no such"}, {"since": "2026-01-01"}):
        told = asking.get("/missed", params=filters).json()
        assert told == {"missed": [], "total": 0, "next": None}
    assert asking.get("/missed/export.json").json() == [span]
    rows = list(csv.DictReader(io.StringIO(asking.get("/missed/export.csv").content.decode("utf-8-sig"))))
    assert rows[0]["missed"] == span["missed"] and rows[0]["note"] == span["note"]
    assert asking.get("/events/count", params={"camera": "yard"}).json() == {"events": 1, "missed": 1}
    back = asking.delete(f"/missed/{span['missed']}").json()
    assert back["taken_back_by"] == "local" and back["taken_back_utc"]
    assert asking.delete(f"/missed/{span['missed']}").json() == back, "the first to take it back stays"
    assert asking.get("/missed").json()["total"] == 0
    assert asking.get("/missed", params={"taken_back": True}).json()["total"] == 1


@pytest.mark.parametrize(
    ("before", "said", "status"),
    [
        ("nosuch", SPAN, 404),
        ("yard", {"since": SPAN["until"], "until": SPAN["since"]}, 400),
        ("yard", {"since": SPAN["since"], "until": SPAN["since"]}, 400),
        ("yard", {"since": "2025-10-01", "until": "2025-10-09"}, 400),
        ("yard", {"since": "2025-10-09T08:53:21Z", "until": "2099-01-01"}, 400),
        ("yard", {"since": "nonsense", "until": "5m"}, 400),
        ("yard", SPAN | {"note": "x" * 4001}, 422),
        ("yard", SPAN | {"more": 1}, 422),
        ("yard", {"since": "5m"}, 422),
    ],
)
def test_a_span_that_makes_no_sense_is_refused(
    asking: httpx.Client, before: str, said: dict[str, str], status: int
) -> None:
    answer = asking.post(f"/cameras/{before}/missed", json=said)
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
    assert asking.delete("/missed/nosuch").status_code == 404


def test_pages_of_missed_incidents_do_not_shift(asking: httpx.Client) -> None:
    made = [
        asking.post("/cameras/yard/missed", json={"since": at(number), "until": at(number + 1)}).json()["missed"]
        for number in range(100, 105)
    ]
    first = asking.get("/missed", params={"limit": 3}).json()
    assert [each["missed"] for each in first["missed"]] == made[:1:-1] and first["total"] == 5
    asking.post("/cameras/yard/missed", json={"since": at(200), "until": at(201)})
    second = asking.get("/missed", params={"limit": 3, "cursor": first["next"]}).json()
    assert [each["missed"] for each in second["missed"]] == made[1::-1] and second["next"] is None
    assert asking.get("/missed", params={"cursor": "x"}).status_code == 400
    for each in asking.get("/missed").json()["missed"]:
        asking.delete(f"/missed/{each['missed']}")


@pytest.fixture(scope="module")
def hall(service: Service) -> str:
    """A camera with an hour of verdicts, one every two seconds: one alarms, and ten are not known."""
    with Store.open(service.store) as store:
        camera = store.cameras.register(CameraRecord(id="", name="hall", identity="id-of-hall", kind="stream"))
        store.sessions.start(source="hall", epoch_s=EPOCH_S, model="tiny", task="fight", camera=camera)
        judged = []
        for window in range(1800):
            start_s = window * 2.0
            p_alarm = 0.95 if window == 900 else 0.1
            known = Verdict(outcome=Outcome.NORMAL, p_alarm=p_alarm, start_s=start_s, end_s=start_s + 2.5, text="empty")
            lost = Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=start_s + 2.5)
            verdict = lost if 300 <= window < 310 else known
            judged.append(JudgedWindow(source="hall", camera_id=camera.id, window=window, verdict=verdict))
        store.verdicts.add(judged)
        return camera.id


def test_the_strip_of_a_long_time_loses_no_alarm(asking: httpx.Client, hall: str) -> None:
    asked = {"since": at(0), "until": at(3600), "buckets": 60}
    told = asking.get(f"/cameras/{hall}/strip", params=asked).json()
    assert told["name"] == "hall" and told["bucket_s"] == 60.0 and told["has_clock"]
    assert [each["at_s"] for each in told["buckets"]] == [number * 60.0 for number in range(60)]
    assert sum(each["windows"] for each in told["buckets"]) == 1800
    peak = told["buckets"][30]
    assert (peak["p_least"], peak["p_most"]) == (0.1, 0.95)
    assert told["buckets"][10]["unknown"] == 10 and max(each["p_most"] for each in told["buckets"][:30]) == 0.1
    fine = asking.get("/cameras/hall/strip", params={"since": at(0), "until": at(20), "buckets": 10}).json()
    assert [each["windows"] for each in fine["buckets"]] == [1] * 10
    day = asking.get("/cameras/hall/strip", params={"since": at(-43_200), "until": at(43_200), "buckets": 1440}).json()
    assert len(day["buckets"]) == 60 and max(each["p_most"] for each in day["buckets"]) == 0.95
    assert asking.get("/cameras/hall/strip").json()["buckets"] == [], "nothing was judged in the last hour"


def test_a_moment_without_an_event_tells_its_windows_and_that_no_picture_is_kept(
    asking: httpx.Client, hall: str
) -> None:
    told = asking.get(f"/cameras/{hall}/moment", params={"at": at(1801), "margin_s": 5}).json()
    assert [each["p_alarm"] for each in told["windows"]] == [0.1, 0.1, 0.1, 0.95, 0.1, 0.1, 0.1]
    assert told["windows"][0]["text"] == "empty" and told["events"] == told["pictures"] == []
    lost = asking.get("/cameras/hall/moment", params={"at": at(605), "margin_s": 1}).json()
    assert {each["cause"] for each in lost["windows"]} == {"timeout"}


def test_a_moment_of_an_event_leads_to_its_pictures(asking: httpx.Client) -> None:
    told = asking.get("/cameras/yard/moment", params={"at": at(12)}).json()
    assert [each["p_alarm"] for each in told["windows"]] == [0.97] and len(told["events"]) == 1
    assert {each["kind"] for each in told["pictures"]} == {"clip", "snapshot", "frames"}
    made = asking.post("/cameras/yard/missed", json={"since": at(20), "until": at(24)}).json()
    told = asking.get("/cameras/yard/strip", params={"since": at(0), "until": at(60), "buckets": 30}).json()
    assert [each["missed"] for each in told["missed"]] == [made["missed"]]
    assert [each["tier"] for each in told["events"]] == ["high"]
    asking.delete(f"/missed/{made['missed']}")


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/cameras/nosuch/strip", {}, 404),
        ("/cameras/yard/strip", {"since": "8d"}, 400),
        ("/cameras/yard/strip", {"since": "2025-10-09", "until": "2025-10-08"}, 400),
        ("/cameras/yard/strip", {"buckets": 2001}, 422),
        ("/cameras/yard/strip", {"since": "soon"}, 400),
        ("/cameras/nosuch/moment", {"at": "5m"}, 404),
        ("/cameras/yard/moment", {}, 422),
        ("/cameras/yard/moment", {"at": "1m", "margin_s": 1e9}, 422),
    ],
)
def test_a_strip_that_cannot_be_had_is_a_problem(
    asking: httpx.Client, path: str, asked: dict[str, object], status: int
) -> None:
    answer = asking.get(path, params=asked)  # type: ignore[arg-type]
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"
