"""docs/alerts.md: its settings can be loaded, its commands run, its receiver verifies what is sent."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerting import alarm, alerts_to, receiver, save, settled, webhook
from vigil.alerts import AlertSettings, Outbox, build_sink
from vigil.cli.main import main
from vigil.config import config_root, from_mapping
from vigil.store import Store
from vigil.watch.settings import load_watch_settings
from waiting import until

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "alerts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"^    (vigil alerts .*?)(?:   .*)?$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_settings_can_be_loaded_and_its_sinks_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    for name in ("CONTROL_ROOM_SECRET", "MAIL_PASSWORD"):
        monkeypatch.setenv(name, "s3cr3t")
    monkeypatch.setenv("PHONE_URL", "ntfy://topic")
    path = tmp_path / "cameras.yaml"
    path.write_text(block.replace("[aplay,", "['true',").replace("[logger,", "['true',"), encoding="utf-8")
    words = re.findall(r"--set (\S+)", block)
    settings = load_watch_settings(str(path), {}, words)
    assert settings.alerts.sinks and [build_sink(sink) for sink in settings.alerts.sinks]
    assert not words or settings.alerts.sink("control-room").cooldown_s == 120.0


def test_every_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIGIL_STORE", "events.db")
    with receiver() as got:
        hook = {"type": "webhook", "name": "control-room", "url": got.url, "allow": ["127.0.0.1"]}
        Path("cameras.yaml").write_text(yaml.safe_dump({"alerts": {"sinks": [hook]}}), encoding="utf-8")
        with Store.open("events.db") as store, Outbox(alerts_to(webhook(got.url, "old-sink")), store) as outbox:
            save(store, alarm(), outbox)
            settled(store)
        assert len(COMMANDS) == 5
        assert {command: main(command.split()[1:]) for command in COMMANDS} == dict.fromkeys(COMMANDS, 0)
    assert [each.json["kind"] for each in got.taken] == ["opened", "test"]


def test_a_receiver_as_in_the_docs_verifies_what_is_sent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    monkeypatch.setenv("SECRET", "s3cr3t")
    with receiver() as got, Outbox(alerts_to(webhook(got.url, secret="env:SECRET")), store) as outbox:
        save(store, alarm(), outbox)
        until(lambda: got.taken)
    [posted] = got.taken
    check = names["is_genuine"]
    assert check(b"s3cr3t", posted.headers, posted.body, time.time())
    assert not check(b"other", posted.headers, posted.body, time.time())
    assert not check(b"s3cr3t", posted.headers, posted.body + b" ", time.time())
    assert not check(b"s3cr3t", posted.headers, posted.body, time.time() + 900.0)


def test_the_defaults_of_the_shipped_settings_are_those_of_the_program() -> None:
    shipped = yaml.safe_load((config_root() / "watch" / "default.yaml").read_text(encoding="utf-8"))["alerts"]
    assert from_mapping(AlertSettings, shipped, where="default.yaml") == AlertSettings()


def test_the_defaults_in_the_table_are_those_of_the_program() -> None:
    sink = webhook("http://h.example/")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert len(rows) == 3
    assert rows == {name: str(int(getattr(sink, name))) for name in rows}
