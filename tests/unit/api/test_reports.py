"""`GET /reports`: a day or a shift in a time zone, and what cannot be reported."""

import httpx
import pytest

from api_service import EVENT, Service

DAY = {"day": "2025-10-09", "timezone": "Asia/Shanghai"}
"""The events of the store are of 2025-10-09, 16:53 in Shanghai."""


def test_a_day_holds_its_events_in_the_time_of_the_zone(asking: httpx.Client) -> None:
    told = asking.get("/reports", params=DAY).json()
    assert (told["since"], told["until"]) == ("2025-10-09T00:00:00+08:00", "2025-10-10T00:00:00+08:00")
    assert told["events"] == 5 and told["hours"] == {"16": 5} and told["is_over"]
    [yard] = told["cameras"]
    assert (yard["name"], yard["place"], yard["tiers"]) == ("yard", "gate", {"low": 0, "medium": 0, "high": 1})
    first = next(each for each in told["unseen"] if each["event"] == EVENT)
    assert first["onset"].startswith("2025-10-09T16:53:30") and first["onset"].endswith("+08:00")


def test_a_shift_holds_what_begins_in_it(asking: httpx.Client) -> None:
    late = asking.get("/reports", params=DAY | {"shift": "16:00-22:00"}).json()
    early = asking.get("/reports", params=DAY | {"shift": "22:00-06:00"}).json()
    assert (late["events"], early["events"], early["until"]) == (5, 0, "2025-10-10T06:00:00+08:00")
    last = asking.get("/reports").json()
    assert last["is_over"] and last["timezone"] == ""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"day": "tomorrow"}, "day 'tomorrow'"),
        ({"day": "0001-01-01"}, "day '0001-01-01'"),
        ({"shift": "22-6"}, "shift '22-6'"),
        ({"timezone": "Europe/Berlim"}, "did you mean Europe/Berlin?"),
    ],
)
def test_what_cannot_be_reported_is_told(asking: httpx.Client, asked: dict[str, str], told: str) -> None:
    answer = asking.get("/reports", params=asked)
    assert answer.status_code == 400 and told in answer.json()["detail"]


def test_a_viewer_may_read_it_and_a_stranger_may_not(guarded: Service) -> None:
    with guarded.client() as stranger, guarded.client(auth=("vera", "correct horse")) as viewer:
        assert stranger.get("/reports").status_code == 401
        assert viewer.get("/reports").status_code == 200
