"""MQTT on a real broker (mosquitto): retained topics, Home Assistant's discovery, a broker that is restarted."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt

from alerting import alarm, alerts_to, save, settled, write_media
from services import mosquitto
from vigil.alerts import Outbox
from vigil.alerts.settings import MqttSettings
from vigil.serving.server import free_port
from vigil.store import CameraRecord, Store
from waiting import HANG_S, until


def retained(port: int, enough: Callable[[dict[str, bytes]], bool], **login: str) -> dict[str, bytes]:
    """What a broker has retained, once it is enough."""

    async def read() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        async with asyncio.timeout(HANG_S), aiomqtt.Client("127.0.0.1", port, **login) as client:
            await client.subscribe("#")
            async for message in client.messages:
                found[str(message.topic)] = bytes(message.payload)  # type: ignore[arg-type]
                if enough(found):
                    break
        return found

    return asyncio.run(read())


def door(store: Store) -> CameraRecord:
    return store.cameras.register(CameraRecord(id="", name="door", identity="d" * 24, place="东北区域"))


def settings(port: int, **more: Any) -> MqttSettings:
    return MqttSettings(name="broker", host="127.0.0.1", port=port, **more)


def test_a_camera_has_a_retained_topic_that_home_assistant_discovers(store: Store, tmp_path: Path) -> None:
    port, camera = free_port(), door(store)
    with mosquitto(tmp_path / "broker", port=port), Outbox(alerts_to(settings(port)), store) as outbox:
        event = save(store, alarm(camera_id=camera.id), outbox)
        settled(store)
        topic = f"vigil/{camera.id}/alarm"
        rings = json.loads(retained(port, lambda found: topic in found)[topic])
        files = write_media(store, event)
        save(store, replace(event, end_s=9.0, text="two people push"), outbox)
        until(lambda: len(store.deliveries.find()) == 3)
        settled(store)
        found = retained(port, lambda found: len(found) == 4)
    assert (rings["alarm"], rings["id"], rings["revision"]) == ("ON", event.id, 1)
    over = json.loads(found[topic])
    assert (over["alarm"], over["id"], over["revision"], over["event"]["text"]) == (
        "OFF",
        event.id,
        3,
        "two people push",
    )
    assert found[f"vigil/{camera.id}/snapshot"] == files["snapshots"]
    sensor = json.loads(found[f"homeassistant/binary_sensor/vigil_{camera.id}/alarm/config"])
    assert sensor["state_topic"] == sensor["json_attributes_topic"] == topic
    assert sensor["device"]["name"] == "door" and sensor["device"]["suggested_area"] == "东北区域"
    assert sensor["value_template"] == "{{ value_json.alarm }}"
    picture = json.loads(found[f"homeassistant/image/vigil_{camera.id}/snapshot/config"])
    assert picture["image_topic"] == f"vigil/{camera.id}/snapshot"


def test_a_broker_that_is_restarted_gets_what_it_missed(store: Store, tmp_path: Path) -> None:
    port, camera = free_port(), door(store)
    with Outbox(alerts_to(settings(port)), store) as outbox:
        with mosquitto(tmp_path / "broker", port=port):
            save(store, alarm(camera_id=camera.id), outbox)
            settled(store)
        missed = save(store, alarm(camera_id=camera.id, onset_s=90.0), outbox)
        until(lambda: [each for each in store.deliveries.find() if each.attempts and each.state == "waiting"])
        with mosquitto(tmp_path / "broker", port=port):
            settled(store)
            found = retained(port, lambda found: f"vigil/{camera.id}/alarm" in found)
    assert json.loads(found[f"vigil/{camera.id}/alarm"])["event"]["event"] == missed.id


def test_a_broker_with_a_password_is_given_it_and_no_message_shows_it(
    store: Store, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("BROKER", "wrong-s3cr3t")
    port, camera = free_port(), door(store)
    sink = settings(port, user="vigil", password="env:BROKER")
    with mosquitto(tmp_path / "broker", port=port, password="right-s3cr3t"):
        with Outbox(alerts_to(sink), store) as outbox:
            save(store, alarm(camera_id=camera.id), outbox)
            until(lambda: [each for each in store.deliveries.find() if each.attempts])
        assert "s3cr3t" not in store.deliveries.find()[0].detail
        monkeypatch.setenv("BROKER", "right-s3cr3t")
        with Outbox(alerts_to(sink), store):
            settled(store)
        login = {"username": "vigil", "password": "right-s3cr3t"}
        assert retained(port, lambda found: f"vigil/{camera.id}/alarm" in found, **login)
