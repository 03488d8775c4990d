"""Alerts about an event with a class say the class, in both languages."""

import pytest

from alerting import alarm
from vigil.alerts.message import message_of
from vigil.alerts.settings import AlertSettings, IncidentName
from vigil.questions import load_question
from vigil.store.event_record import event_record


def spoken(label: str, *, settings: AlertSettings | None = None, task: str = "anomaly9") -> tuple[str, str]:
    event = event_record(alarm(label=label, task=task, rule=task, source="C3", place="", epoch_s=None))
    message = message_of(event, settings or AlertSettings())
    return message.spoken("zh"), message.spoken("en")


@pytest.mark.parametrize("label", load_question("anomaly9").alarm_labels)
def test_every_class_of_the_task_is_said_in_english_too(label: str) -> None:
    chinese, english = spoken(label)
    assert label in chinese and english.startswith("Detected ") and english.isascii()


def test_a_class_of_ones_own_is_said_by_its_name_or_as_the_settings_name_it() -> None:
    assert spoken("吸烟")[1].startswith("Detected 吸烟, ")
    named = AlertSettings(incidents=(IncidentName(rule="吸烟", en="somebody smoking", zh="有人吸烟"),))
    assert spoken("吸烟", settings=named)[0].startswith("检测到有人吸烟")
    assert spoken("吸烟", settings=named)[1].startswith("Detected somebody smoking, ")


def test_an_event_without_a_class_is_said_as_before() -> None:
    assert spoken("", task="fight")[0].startswith("检测到打架，")


def test_the_payload_of_a_webhook_bears_the_class_and_that_of_two_labels_does_not() -> None:
    with_class = message_of(event_record(alarm(label="烟雾")), AlertSettings()).payload()
    assert with_class["event"]["label"] == "烟雾" and "smoke" in with_class["title"]
    assert "label" not in message_of(event_record(alarm()), AlertSettings()).payload()["event"]
