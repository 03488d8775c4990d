"""Apprise, by one of its real services (JSON by POST), to a receiver on the loopback."""

import logging

import pytest

from alerting import alarm, alerts_to, receiver, save, settled
from vigil.alerts import Outbox
from vigil.alerts.settings import AppriseSettings
from vigil.errors import UsageError
from vigil.store import Store


def test_a_service_is_sent_the_words_and_its_address_is_in_no_log(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="apprise")
    with receiver(statuses=[500], status=200) as got:
        monkeypatch.setenv("CHAT", f"json://user:s3cr3t@127.0.0.1:{got.port}/t0ken")
        sink = AppriseSettings(name="chat", url="env:CHAT", media_wait_s=0.0)
        with Outbox(alerts_to(sink), store) as outbox:
            save(store, alarm(text="two people push"), outbox)
            [delivery] = settled(store)
    assert delivery.attempts == 2 and [each.json["title"] for each in got.taken] == ["Alarm: a fight, door"]
    assert "two people push" in got.taken[0].json["message"]
    assert "s3cr3t" not in caplog.text and "t0ken" not in caplog.text


def test_an_address_that_apprise_does_not_know_is_refused_without_showing_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", "nosuch://t0ken")
    with pytest.raises(UsageError, match="none that apprise knows") as caught:
        Outbox(alerts_to(AppriseSettings(name="chat", url="env:CHAT")), store)
    assert "t0ken" not in str(caught.value)
