"""`GET /reports`: a day or a shift in a time zone, and what cannot be reported."""

import httpx
import pytest

from api_service import EVENT, Service, event
from vigil.store import Store

EARLIER_S = 1_700_000_000.0
"""The events of this module happened long before those of the others, whose lists they leave alone."""

DAY = {"day": "2023-11-15", "timezone": "Asia/Shanghai"}
"""Theirs: 08:10 in Shanghai, and of the day before in UTC."""


@pytest.fixture(scope="module", autouse=True)
def morning(service: Service) -> None:
    """Two events of one morning, one of them at a camera that is known."""
    with Store.open(service.store) as store:
        known = store.events.get(EVENT)
        store.events.save(event(700, epoch_s=EARLIER_S))
        store.events.save(event(701, epoch_s=EARLIER_S, camera_id=known.camera_id))


def test_a_day_holds_its_events_in_the_time_of_the_zone(asking: httpx.Client) -> None:
    told = asking.get("/reports", params=DAY).json()
    assert (told["since"], told["until"]) == ("2023-11-15T00:00:00+08:00", "2023-11-16T00:00:00+08:00")
    assert told["events"] == 2 and told["hours"] == {"8": 2} and told["is_over"]
    [yard] = told["cameras"]
    assert (yard["name"], yard["place"], yard["tiers"]) == ("yard", "gate", {"low": 0, "medium": 0, "high": 1})
    first = next(each for each in told["unseen"] if each["event"] == "e0700")
    assert first["onset"] == "2023-11-15T08:10:00+08:00"


def test_a_shift_holds_what_begins_in_it(asking: httpx.Client) -> None:
    morning = asking.get("/reports", params=DAY | {"shift": "06:00-14:00"}).json()
    night = asking.get("/reports", params=DAY | {"shift": "22:00-06:00"}).json()
    assert (morning["events"], night["events"], night["until"]) == (2, 0, "2023-11-16T06:00:00+08:00")
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
