"""`vigil alerts`: what a person sees of deliveries, sends again, and tests."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting import Receiver, alarm, alerts_to, receiver, save, settled, webhook
from vigil.alerts import Outbox
from vigil.cli.main import main
from vigil.store import Store
from waiting import until


def configured(folder: Path, *sinks: dict[str, Any]) -> str:
    """A file of watch settings with sinks, and a store beside it."""
    path = folder / "cameras.yaml"
    settings = {"store": str(folder / "events.db"), "alerts": {"sinks": list(sinks)}}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return str(path)


def hook(url: str, **settings: Any) -> dict[str, Any]:
    return {"type": "webhook", "name": "hook", "url": url, "allow": ["127.0.0.1"]} | settings


def left_waiting(db: Path, url: str) -> None:
    """A store in which a delivery was refused and waits."""
    with Store.open(db) as store, Outbox(alerts_to(webhook(url)), store) as outbox:
        save(store, alarm(source="front door"), outbox)
        until(lambda: [each for each in store.deliveries.find() if each.attempts])


def test_what_waits_is_listed_shown_and_sent_by_the_command_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "events.db"
    with receiver(status=500) as got:
        left_waiting(db, got.url)
        assert main(["alerts", "list", "--state", "waiting", "--store", str(db)]) == 0
        line = capsys.readouterr().out.splitlines()[1]
        assert line.split()[:5] == ["1", "hook", "waiting", "opened", "front"] and "500" in line
        assert main(["alerts", "show", "1", "--store", str(db)]) == 0
        assert "attempt 1" in (shown := capsys.readouterr().out) and "500" in shown
        got.status = 204
        assert main(["alerts", "send", "1", "--config", configured(tmp_path, hook(got.url)), "--wait", "300"]) == 0
        assert "1 of 1 delivered" in capsys.readouterr().err
    assert len({each.headers["idempotency-key"] for each in got.posted}) == 1


def test_what_cannot_be_sent_again_is_named_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(status=500) as got:
        left_waiting(tmp_path / "events.db", got.url)
        assert main(["alerts", "send", "--config", configured(tmp_path, hook(got.url)), "--wait", "0"]) == 1
    assert "not delivered: 1 (it answers 500" in capsys.readouterr().err


def test_a_sink_that_is_not_in_the_settings_is_not_sent_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(status=500) as got:
        left_waiting(tmp_path / "events.db", got.url)
    assert main(["alerts", "send", "--config", configured(tmp_path, hook(got.url, name="other"))]) == 2
    assert "no sink 'hook'" in capsys.readouterr().err


def test_a_sink_is_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver() as got:
        config = configured(tmp_path, hook(got.url, quiet_hours="00:00-24:00"))
        assert main(["alerts", "test", "hook", "--config", config]) == 0
    assert "took the test message" in capsys.readouterr().err
    assert got.taken[0].json["kind"] == "test" and not (tmp_path / "events.db").exists()
    assert main(["alerts", "test", "hook", "--config", config]) == 1
    assert "hook: no connection to 127.0.0.1" in capsys.readouterr().err
    assert main(["alerts", "test", "siren", "--config", config]) == 2
    assert "the settings have: hook" in capsys.readouterr().err


def test_a_sink_that_was_removed_is_forgotten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = tmp_path / "events.db"
    got = Receiver()
    with Store.open(db) as store, got.serving(), Outbox(alerts_to(webhook(got.url)), store) as outbox:
        save(store, alarm(), outbox)
        settled(store)
    assert main(["alerts", "forget", "hook", "--store", str(db)]) == 0
    with Store.open(db) as store:
        assert [name for name, _ in store.cursors.all() if name.startswith("alerts:")] == []
    assert main(["alerts", "forget", "hook", "--store", str(db)]) == 2
    assert "knows no sink 'hook'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sink", "problem"),
    [
        ({"type": "webhok", "name": "h"}, "did you mean 'webhook'?"),
        ({"type": "webhook", "name": "h", "url": "https://h.example/", "teirs": ["low"]}, "did you mean 'tiers'?"),
        ({"type": "webhook", "name": "h", "url": "https://h.example/", "tiers": ["hihg"]}, "tiers"),
        ({"type": "webhook", "name": "h"}, "url is missing"),
        ({"type": "webhook", "name": "a/b", "url": "https://h.example/"}, "name of a sink"),
        ({"type": "command", "name": "h", "argv": []}, "argv names no command"),
        ({"type": "email", "name": "h", "host": "m", "sender": "a@b", "to": ["nobody"]}, "no mail address"),
        ({"type": "mqtt", "name": "h", "host": "m", "password": "hunter2"}, "write env:NAME"),
        ({"type": "apprise", "name": "h", "url": "tgram://hunter2/1"}, "write env:NAME"),
        ({"type": "webhook", "name": "h", "url": "https://h.example/", "quiet_hours": "22-6"}, "22-6"),
        ({"type": "webhook", "name": "h", "url": "https://h.example/", "allow": ["lan"]}, "no IP address"),
        ({"type": "speech", "name": "h"}, "name a folder"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sink: dict[str, Any], problem: str
) -> None:
    assert main(["alerts", "test", "h", "--config", configured(tmp_path, sink)]) == 2
    said = capsys.readouterr().err
    assert problem in said and "hunter2" not in said and len(said.strip().splitlines()) == 1


def test_a_secret_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = configured(tmp_path, hook("https://h.example/", secret="env:NOT_SET_ANYWHERE"))
    assert main(["alerts", "test", "hook", "--config", config]) == 2
    assert "NOT_SET_ANYWHERE" in capsys.readouterr().err
