"""AlertMessage: what a sink is sent of an incident, as data (`payload`) and as words in English and Chinese."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from vigil.alerts.settings import AlertSettings, Language
from vigil.rules.camera_fault import CAMERA
from vigil.store import CameraRecord, MediaFile
from vigil.store.deliveries import Delivery

INCIDENTS: Mapping[str, Mapping[Language, str]] = {
    "fight": {"en": "a fight", "zh": "打架"},
    "loitering": {"en": "loitering", "zh": "徘徊"},
    "周界翻越": {"en": "somebody climbing over the fence", "zh": "周界翻越"},
    "禁区闯入": {"en": "somebody in a closed area", "zh": "禁区闯入"},
    "夜间徘徊": {"en": "loitering at night", "zh": "夜间徘徊"},
    "跌倒": {"en": "a fall", "zh": "人员跌倒"},
    "剧烈冲突": {"en": "a fight", "zh": "剧烈冲突"},
    "危险工具": {"en": "a dangerous tool", "zh": "危险工具"},
    "烟雾": {"en": "smoke", "zh": "烟雾"},
    "异常声响": {"en": "an unusual sound", "zh": "异常声响"},
    "设备异常": {"en": "a fault of the camera", "zh": "设备异常"},
    "camera covered": {"en": "a covered camera", "zh": "摄像头被遮挡"},
    "camera moved": {"en": "a camera that was turned away", "zh": "摄像头被转动"},
    "camera frozen": {"en": "a frozen camera picture", "zh": "摄像头画面冻结"},
    "camera dark": {"en": "a camera picture that is too dark", "zh": "摄像头画面过暗"},
    "camera blurred": {"en": "a camera that is out of focus", "zh": "摄像头失焦"},
}
"""What the rules and tasks that come with Vigil find, and the classes of the task `anomaly9`."""
TITLES: Mapping[Language, Mapping[str, str]] = {
    "en": {"test": "Test", "escalated": "Not looked at", "alarm": "Alarm", "review": "To review"},
    "zh": {"test": "测试", "escalated": "无人处理", "alarm": "告警", "review": "待复核"},
}
NOT_STORED: Mapping[Language, str] = {
    "en": "The event store is in trouble: this alarm is not recorded (yet).",
    "zh": "事件库故障：此告警尚未存档。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """One message about an incident.

    `id` is the same for all messages of an incident and `revision` rises: what has a lower one is out of date. `key` is
    the same for every attempt to send this message. `durable` is false if the store could not take the event.
    """

    id: str
    revision: int
    key: str
    kind: str
    state: Literal["alarm", "review"]
    event: Mapping[str, Any]
    camera: CameraRecord
    site: str = ""
    durable: bool = True
    link: str = ""
    snapshot: Path | None = None
    clip: Path | None = None
    incident: Mapping[Language, str]
    timezone: str = ""

    @property
    def is_open(self) -> bool:
        """Whether the event goes on."""
        return self.event["end_s"] is None

    def payload(self, *, language: Language = "en", links: bool = True) -> dict[str, Any]:
        """The message as data for JSON."""
        return {
            "id": self.id,
            "revision": self.revision,
            "kind": self.kind,
            "state": self.state,
            "durable": self.durable,
            "title": self.title(language),
            "text": self.text(language),
            "camera": {"id": self.camera.id, "name": self.camera.name, "place": self.camera.place, "site": self.site},
            "event": dict(self.event),
            "links": self.links(language) if links else {},
        }

    def links(self, language: Language = "en") -> dict[str, str]:
        """The addresses of the event's page and of its media; empty if the settings name no `link`."""
        if not self.link or self.kind == "test":
            return {}
        site, event = self.link.rstrip("/"), self.event["event"]
        media = f"{site}/api/v1/events/{event}"
        return {
            "event": f"{site}/{language}/events/{event}",
            "snapshot": f"{media}/snapshot",
            "clip": f"{media}/clip",
        }

    def title(self, language: Language) -> str:
        """A line such as `Alarm: a fight, north-east, C3`."""
        words = TITLES[language][self.kind if self.kind in ("test", "escalated") else self.state]
        where = " ".join(filter(None, (self.camera.place, self.camera.name)))
        joined = "：{}，{}" if language == "zh" else ": {}, {}"
        return words + joined.format(self.incident[language], where)

    def spoken(self, language: Language) -> str:
        """The sentence that is spoken, such as `检测到打架，东北区域摄像头C3，14:32:15`."""
        if language == "zh":
            return f"检测到{self.incident['zh']}，{self.camera.place}摄像头{self.camera.name}，{self.clock()}"
        where = f"{self.camera.place}, " if self.camera.place else ""
        return f"Detected {self.incident['en']}, {where}camera {self.camera.name}, {self.clock()}"

    def text(self, language: Language) -> str:
        """The message for people: what, where, when, how certain, and the model's words."""
        # Of the camera itself no model told a probability.
        is_about_camera = self.event["task"] == CAMERA
        certain = str(self.event["tier"]) if is_about_camera else f"{self.event['tier']}, {self.event['peak']:.0%}"
        lines = [f"{self.spoken(language)} ({certain})", str(self.event["text"])]
        lines += [] if self.durable else [NOT_STORED[language]]
        return "\n".join(filter(None, lines))

    def clock(self) -> str:
        """The time of the onset on the wall, or the position in a file."""
        onset_s = float(self.event["onset_s"])
        if self.event["epoch_s"] is None:
            minutes, seconds = divmod(int(onset_s), 60)
            return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
        moment = datetime.fromtimestamp(float(self.event["epoch_s"]) + onset_s, UTC)
        return f"{moment.astimezone(ZoneInfo(self.timezone) if self.timezone else None):%H:%M:%S}"


def compose(
    delivery: Delivery,
    alerts: AlertSettings,
    *,
    camera: CameraRecord | None = None,
    media: tuple[MediaFile, ...] = (),
    durable: bool = True,
) -> AlertMessage:
    """The message of a delivery, with the camera's record and the media that the event has by now."""
    files = {file.kind: file.path for file in media if file.path.is_file()}
    return replace(
        message_of(delivery.event, alerts, camera=camera, camera_id=delivery.camera_id),
        id=delivery.incident_id,
        revision=delivery.revision,
        key=delivery.key,
        kind=delivery.kind,
        durable=durable,
        snapshot=files.get("snapshots"),
        clip=files.get("clips"),
    )


def message_of(
    event: Mapping[str, Any], alerts: AlertSettings, *, camera: CameraRecord | None = None, camera_id: str = ""
) -> AlertMessage:
    """The message about the record of an event, as if it had just opened."""
    name = str(event.get("rule") or event["task"])
    seen = camera or CameraRecord(id=camera_id, name=str(event["source"]), place=str(event.get("place", "")))
    return AlertMessage(
        id=str(event["event"]),
        revision=1,
        key="",
        kind="opened",
        state="alarm" if event["tier"] == "high" else "review",
        event=event,
        camera=seen,
        site=alerts.site_of(seen.id, seen.name),
        link=alerts.link,
        incident=_names(str(event.get("label", "")), name, str(event["task"]), alerts),
        timezone=alerts.timezone,
    )


def _names(label: str, name: str, task: str, alerts: AlertSettings) -> Mapping[Language, str]:
    """An incident as people say it: by the settings, else as built in, else its class or the name of its rule."""
    said = {each.rule: each for each in alerts.incidents}
    for known in (label, *(() if label else (name, task))):
        if known in said:
            return {"en": said[known].en, "zh": said[known].zh}
        if known in INCIDENTS:
            return INCIDENTS[known]
    return {"en": label or name or "an incident", "zh": label or name or "异常"}
