"""Lists, pages, marks and exports of events, on a service that runs."""

import csv
import io

import httpx
import pytest

from api_service import EVENT, Service, event
from vigil.store import Store
from waiting import until


def ids(asking: httpx.Client, **filters: object) -> list[str]:
    answer = asking.get("/events", params=filters)
    assert answer.status_code == 200, answer.text
    return [each["event"] for each in answer.json()["events"]]


def test_the_newest_come_first_and_pages_do_not_shift(service: Service, asking: httpx.Client) -> None:
    first = asking.get("/events", params={"limit": 2, "until": "2025-12-01"}).json()
    assert [each["event"] for each in first["events"]] == ["e0005", "e0004"]
    with Store.open(service.store) as store:
        store.events.save(event(6, text="later"))
    second = asking.get("/events", params={"limit": 2, "cursor": first["next"]}).json()
    assert [each["event"] for each in second["events"]] == ["e0003", "e0002"]
    last = asking.get("/events", params={"limit": 2, "cursor": second["next"]}).json()
    assert [each["event"] for each in last["events"]] == [EVENT] and last["next"] is None


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"place": "gate"}, [EVENT]),
        ({"camera": "yard"}, [EVENT]),
        ({"text": "number 3"}, ["e0003"]),
        ({"rule": "other"}, []),
        ({"tier": "high", "until": "2025-10-09T08:54:30Z", "text": "number"}, ["e0005", "e0003"]),
        ({"since": "2030-01-01"}, []),
        ({"is_open": "true"}, []),
        ({"state": "to_review", "mark": "unmarked", "text": "number"}, ["e0004", "e0002"]),
    ],
)
def test_a_filter_finds(asking: httpx.Client, filters: dict[str, str], found: list[str]) -> None:
    assert ids(asking, **filters) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "yesterday"},
        {"cursor": "x"},
        {"cursor": "%00"},
        {"limit": 0},
        {"tier": "huge"},
        {"since": "2026-02-01", "until": "2026-01-01"},
    ],
)
def test_a_wrong_filter_is_a_problem(asking: httpx.Client, wrong: dict[str, str]) -> None:
    answer = asking.get("/events", params=wrong)
    assert answer.status_code in (400, 422) and answer.headers["content-type"] == "application/problem+json"


def test_one_event_has_everything_that_belongs_to_it(asking: httpx.Client) -> None:
    told = asking.get(f"/events/{EVENT}").json()
    assert told["event"] == EVENT and told["windows"][0]["p_alarm"] == 0.97
    assert told["media"] == [f"/api/v1/events/{EVENT}/{name}" for name in ("clip", "frames", "snapshot")]
    for path in told["media"]:
        assert asking.get(f"{asking.base_url.copy_with(path='')}{path}").status_code == 200
    curve = asking.get(f"/events/{EVENT}/probability").json()
    assert curve["points"][0]["p_alarm"] == 0.97 and curve["tiers"]["low"] < curve["tiers"]["high"]
    assert asking.get(f"/events/{EVENT}/verdicts").json()["verdicts"][0]["outcome"] == "alarm"


def test_an_alarm_is_acknowledged_once_and_then_reviewed(asking: httpx.Client) -> None:
    assert asking.get("/events/e0003").json()["state"] == "alarm"
    first = asking.post("/events/e0003/acknowledge").json()
    assert first["state"] == "acknowledged" and first["acknowledged_by"] == "local"
    again = asking.post("/events/e0003/acknowledge").json()
    assert again["acknowledged_utc"] == first["acknowledged_utc"]
    assert "e0003" in ids(asking, state="acknowledged") and "e0003" not in ids(asking, state="alarm")
    made = asking.post("/events/e0003/marks", json={"mark": "false_alarm", "note": "two boys 😀 play"})
    assert made.status_code == 201 and made.json()["who"] == "local"
    assert ids(asking, state="reviewed", mark="false_alarm") == ["e0003"]
    told = asking.get("/events/e0003").json()
    assert told["mark"] == "false_alarm" and [each["mark"] for each in told["marks"]] == ["false_alarm"]
    asking.post("/events/e0003/marks", json={"mark": ""})
    assert asking.get("/events/e0003").json()["state"] == "acknowledged"
    assert len(asking.get("/events/e0003/marks").json()) == 2


def test_what_is_exported_is_what_is_listed(asking: httpx.Client) -> None:
    listed = asking.get("/events", params={"text": "number"}).json()["events"]
    exported = asking.get("/events/export.json", params={"text": "number"}).json()
    assert exported == listed[::-1]
    told = asking.get("/events/export.csv", params={"camera": "yard"})
    rows = list(csv.DictReader(io.StringIO(told.content.decode("utf-8-sig"))))
    media = asking.get(f"/events/{EVENT}").json()["media"]
    assert rows[0]["event"] == EVENT and rows[0]["media"].split() == media
    assert media and all(url.startswith(f"/api/v1/events/{EVENT}/") for url in media)
    assert asking.get("/events/export.json", params={"camera": "yard"}).json()[0]["media"] == media
    assert "attachment" in told.headers["content-disposition"]
    srt = asking.get("/events/export.srt", params={"camera": "yard"})
    assert srt.status_code == 200 and "-->" in srt.text
    assert asking.get("/events/export.srt", params={"text": "nothing like it"}).status_code == 404
    assert asking.get("/events/export.exe").status_code == 404


def test_the_count_of_what_waits_is_in_the_status(asking: httpx.Client) -> None:
    until(lambda: asking.get("/status").json()["is_watching"])
    told = asking.get("/status").json()
    assert told["open_alarms"] == len(ids(asking, state="alarm")) and told["problem"] == ""
    assert told["to_review"] == len(ids(asking, state="to_review"))
