"""Classes of events over HTTP: told, filtered by, and corrected with a mark."""

import csv

import httpx
import pytest

from api_service import EVENT, Service
from api_service import event as made_event
from vigil.store import Store

LATER_S = 1_780_000_000.0
"""The events of this module happened long after those of the others, whose lists they leave alone."""


@pytest.fixture(scope="module")
def classes(service: Service) -> Service:
    """The service, with two events of nine classes in its store."""
    with Store.open(service.store) as store:
        for number, label in ((60, "烟雾"), (61, "跌倒")):
            store.events.save(made_event(number, epoch_s=LATER_S, task="anomaly9", label=label, text="something"))
    return service


def test_an_event_tells_its_class_and_one_of_two_labels_has_none(classes: Service, asking: httpx.Client) -> None:
    assert asking.get("/events/e0060").json()["label"] == "烟雾"
    plain = asking.get(f"/events/{EVENT}").json()
    assert plain["event"] == EVENT and "label" not in plain and "marked_label" not in plain
    assert set(asking.get("/events/choices").json()["labels"]) >= {"烟雾", "跌倒"}


def test_a_class_is_corrected_found_by_and_taken_back(classes: Service, asking: httpx.Client) -> None:
    said = {"mark": "true", "label": "设备异常"}
    answer = asking.post("/events/e0060/marks", json=said)
    assert answer.status_code == 201 and answer.json()["label"] == "设备异常"
    told = asking.get("/events/e0060").json()
    assert (told["label"], told["marked_label"]) == ("烟雾", "设备异常")
    found = asking.get("/events", params={"label": "设备异常"}).json()["events"]
    assert [each["event"] for each in found] == ["e0060"]
    assert asking.get("/events", params={"label": "烟雾"}).json()["events"] == []
    assert "设备异常" in asking.get("/events/choices").json()["labels"]
    assert asking.post("/events/e0060/marks", json={"mark": ""}).json()["replaced"]["label"] == "设备异常"
    assert asking.get("/events/count", params={"label": "烟雾"}).json()["events"] == 1


def test_many_are_corrected_in_one_request(classes: Service, asking: httpx.Client) -> None:
    said = {"events": ["e0060", "e0061"], "mark": "true", "label": "剧烈冲突"}
    assert asking.post("/events/marks", json=said).status_code == 201
    found = asking.get("/events", params={"label": "剧烈冲突"}).json()["events"]
    assert {each["event"] for each in found} == {"e0060", "e0061"}
    asking.post("/events/marks", json={"events": ["e0060", "e0061"], "mark": ""})


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"mark": "true", "label": "正常"}, "no class '正常'"),
        ({"mark": "true", "label": "<script>"}, "its classes are: 周界翻越"),
        ({"mark": "false_alarm", "label": "烟雾"}, "goes with the mark true"),
    ],
)
def test_a_class_that_the_task_does_not_have_is_refused(
    classes: Service, asking: httpx.Client, said: dict[str, str], problem: str
) -> None:
    answer = asking.post("/events/e0060/marks", json=said)
    assert answer.status_code == 400 and problem in answer.text


def test_an_event_of_two_labels_takes_no_class(classes: Service, asking: httpx.Client) -> None:
    answer = asking.post(f"/events/{EVENT}/marks", json={"mark": "true", "label": "烟雾"})
    assert answer.status_code == 400 and "the task fight has no classes" in answer.text


def test_why_an_event_alarmed_tells_the_classes_to_choose_from(classes: Service, asking: httpx.Client) -> None:
    told = asking.get("/events/e0061/why").json()
    assert len(told["classes"]) == 9 and "正常" not in told["classes"]
    assert asking.get(f"/events/{EVENT}/why").json()["classes"] == []


def test_a_table_that_is_sent_in_pieces_has_one_header_that_fits_its_rows(
    classes: Service, asking: httpx.Client
) -> None:
    rows = list(csv.reader(asking.get("/events/export.csv").text.splitlines()))
    assert rows[0][-2:] == ["label", "marked_label"] and len({len(row) for row in rows}) == 1
    found = dict(zip(rows[0], next(row for row in rows if row[0].endswith("e0061")), strict=True))
    assert found["label"] == "跌倒"
