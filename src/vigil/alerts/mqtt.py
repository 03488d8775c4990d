"""MQTT: one retained topic per camera, which Home Assistant discovers by itself.

    vigil/CAMERA_ID/alarm        the newest message about the camera, as JSON, with `alarm`: ON while the event goes on
    vigil/CAMERA_ID/snapshot     the newest snapshot (JPEG)

Everything is retained, so whoever subscribes later sees the present; each message connects anew, so a broker that was
restarted, even one that forgot what it had retained, has all of it again with the next message.
"""

import json
import re
import ssl
from pathlib import Path
from typing import Any

import aiomqtt

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import MqttSettings, read_secret
from vigil.errors import DeliveryError, UsageError

AT_LEAST_ONCE = 1
NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9_-]")


class MqttSink:
    """Publishes messages to one broker."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._password = read_secret(settings.password) or None
        self._tls = _context(settings.ca_file) if settings.tls else None

    async def send(self, message: AlertMessage) -> None:
        """Publishes a message, and how Home Assistant shows it; raises DeliveryError."""
        settings = self._settings
        client = aiomqtt.Client(
            settings.host,
            settings.port,
            username=settings.user or None,
            password=self._password,
            tls_context=self._tls,
            timeout=settings.deadline_s,
        )
        try:
            async with client:
                for topic, payload in self.published(message):
                    await client.publish(topic, payload, qos=AT_LEAST_ONCE, retain=True)
        except (aiomqtt.MqttError, OSError) as error:
            where = f"{settings.host}:{settings.port}"
            raise DeliveryError(f"the broker at {where} failed: {error}", is_unreachable=True) from error

    async def close(self) -> None:
        """Nothing is open."""

    def published(self, message: AlertMessage) -> list[tuple[str, bytes]]:
        """The topics and what is published there, in order."""
        camera = topic_name(message.camera.id or message.camera.name)
        base = f"{self._settings.topic}/{camera}"
        payload = message.payload(language=self._settings.language)
        payload["alarm"] = "ON" if message.is_open and message.kind != "test" else "OFF"
        published = [(topic, _json(entity)) for topic, entity in self._discovery(message, camera, base)]
        published.append((f"{base}/alarm", _json(payload)))
        if message.snapshot is not None and (picture := _read(message.snapshot)):
            published.append((f"{base}/snapshot", picture))
        return published

    def _discovery(self, message: AlertMessage, camera: str, base: str) -> list[tuple[str, dict[str, Any]]]:
        if not self._settings.discovery:
            return []
        device = {"identifiers": [f"vigil_{camera}"], "name": message.camera.name, "manufacturer": "Vigil"}
        if message.camera.place:
            device["suggested_area"] = message.camera.place
        alarm = {
            "name": "Alarm",
            "unique_id": f"vigil_{camera}_alarm",
            "device_class": "safety",
            "state_topic": f"{base}/alarm",
            "value_template": "{{ value_json.alarm }}",
            "json_attributes_topic": f"{base}/alarm",
            "device": device,
        }
        picture = {
            "name": "Snapshot",
            "unique_id": f"vigil_{camera}_snapshot",
            "image_topic": f"{base}/snapshot",
            "device": device,
        }
        root = self._settings.discovery
        return [
            (f"{root}/binary_sensor/vigil_{camera}/alarm/config", alarm),
            (f"{root}/image/vigil_{camera}/snapshot/config", picture),
        ]


def topic_name(text: str) -> str:
    """A camera's part of a topic: letters, digits, - and _ only."""
    return NOT_IN_TOPICS.sub("_", text)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        # Retention may have deleted it.
        return b""


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise UsageError(f"the certificates in {ca_file} cannot be used: {error}") from error
