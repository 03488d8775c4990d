"""The settings of alerts: where they go, which events go there, and how often; `docs/alerts.md` explains every one.

A secret never stands in the settings: `env:NAME` names an environment variable, `file:PATH` a file that holds it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, TypeAlias

from vigil.alerts.report_settings import ReportSettings, report_problems
from vigil.errors import UsageError
from vigil.hosts import parse_address
from vigil.rules.schedule import WeeklySchedule

TierName: TypeAlias = Literal["low", "medium", "high"]
Language: TypeAlias = Literal["en", "zh"]

SINK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class SinkSettings:
    """What all sinks have in common: which events they get, and when.

    `cameras` (names, ids, sites; `*` stands for any characters) and `rules` (names of rules or tasks) may be empty for
    all. During `quiet_hours` (a weekly schedule in `timezone`) nothing is sent. What happens within `cooldown_s` of an
    incident, at its camera or site, belongs to it; after `incident_max_s` it is a new one. `updates` is whether later
    changes are sent too (None: where the channel can replace what it showed). `escalate` holds the tiers of events that
    are sent if nobody marks them in time. A delivery is given up after `give_up_after_s`.
    """

    name: str
    tiers: tuple[TierName, ...] = ("high",)
    cameras: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    quiet_hours: str = ""
    timezone: str = ""
    cooldown_s: float = 60.0
    incident_max_s: float = 600.0
    updates: bool | None = None
    escalate: tuple[TierName, ...] = ()
    language: Language = "en"
    deadline_s: float = 10.0
    in_flight: int = 4
    give_up_after_s: float = 86_400.0
    media_wait_s: float = 0.0

    def __post_init__(self) -> None:
        if not SINK_NAME.fullmatch(self.name):
            raise UsageError(f"the name of a sink holds letters, digits, dots, - and _, not {self.name!r}")
        if self.quiet_hours:
            WeeklySchedule.parse(self.quiet_hours, timezone=self.timezone)
        negative = [name for name in ("cooldown_s", "incident_max_s", "media_wait_s") if getattr(self, name) < 0]
        zero = [name for name in ("deadline_s", "in_flight", "give_up_after_s") if getattr(self, name) <= 0]
        problems = [f"{name} must not be negative" for name in negative] + [f"{name} must be above 0" for name in zero]
        if problems:
            raise UsageError(f"the sink {self.name}: {'; '.join(problems)}")

    @property
    def sends_updates(self) -> bool:
        """Whether later changes of an event are sent too."""
        return bool(self.updates)

    @property
    def waits_for_clip_s(self) -> float:
        """How long the message that an event is over waits for its clip, which is cut after its end."""
        return 0.0


class ReplacingSink:
    """A channel that replaces what it showed of an incident, so that it gets updates unless the settings say no."""

    updates: bool | None

    @property
    def sends_updates(self) -> bool:
        """Whether later changes of an event are sent too."""
        return self.updates is not False


@dataclass(frozen=True, kw_only=True)
class WebhookSettings(ReplacingSink, SinkSettings):
    """A webhook: JSON by POST, signed with `secret`; `media` sends snapshot and clip as links, parts or not at all.

    Addresses that are not public are dialled only if they are in `allow` (an IP address or a network).
    """

    type: Literal["webhook"] = "webhook"
    url: str
    secret: str = ""
    media: Literal["links", "parts", "none"] = "links"
    allow: tuple[str, ...] = ()
    ca_file: Path | None = None
    clip_wait_s: float = 20.0

    @property
    def waits_for_clip_s(self) -> float:
        """How long the message that an event is over waits for its clip; only parts need the file."""
        return self.clip_wait_s if self.media == "parts" else 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_secret(self.secret, f"{self.name}.secret")
        if not is_secret(self.url):
            check_webhook_url(self.url)
        for word in self.allow:
            try:
                ip_network(word)
            except ValueError as error:
                raise UsageError(
                    f"allow: {word!r} is no IP address or network; write 192.168.1.7 or 10.0.0.0/8"
                ) from error


@dataclass(frozen=True, kw_only=True)
class MqttSettings(ReplacingSink, SinkSettings):
    """An MQTT broker: a retained topic per camera below `topic`, and Home Assistant's discovery below `discovery`."""

    type: Literal["mqtt"] = "mqtt"
    host: str
    port: int = 1883
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: Path | None = None
    topic: str = "vigil"
    discovery: str = "homeassistant"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_secret(self.password, f"{self.name}.password")
        if not self.topic or set("#+") & set(self.topic + self.discovery):
            raise UsageError(f"the sink {self.name}: topic and discovery must be topics without # and +")


@dataclass(frozen=True, kw_only=True)
class MailSettings(SinkSettings):
    """E-mail, with the snapshot: one mail for an incident; with `updates`, later ones belong to its thread."""

    type: Literal["email"] = "email"
    host: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    sender: str
    to: tuple[str, ...]
    ca_file: Path | None = None
    media_wait_s: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_secret(self.password, f"{self.name}.password")
        wrong = [each for each in (self.sender, *self.to) if "@" not in each or not each.isprintable()]
        if wrong or not self.to:
            raise UsageError(f"the sink {self.name}: {wrong[0] if wrong else 'to'!r} is no mail address")


@dataclass(frozen=True, kw_only=True)
class AppriseSettings(SinkSettings):
    """Any service that apprise knows (Telegram, Slack, Feishu, WeCom, DingTalk, ntfy ...), by its address, a secret."""

    type: Literal["apprise"] = "apprise"
    url: str
    media_wait_s: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.url:
            raise UsageError(f"the sink {self.name}: url is missing")
        require_secret(self.url, f"{self.name}.url")


@dataclass(frozen=True, kw_only=True)
class SpeechSettings(SinkSettings):
    """Speech by espeak-ng: a WAV file in `folder`, and played by `player` (a command that gets the file)."""

    type: Literal["speech"] = "speech"
    folder: Path | None = None
    player: tuple[str, ...] = ()
    voice: str = ""
    words_per_minute: int = 160
    in_flight: int = 1
    keep_files: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folder is None and not self.player:
            raise UsageError(f"the sink {self.name}: name a folder for WAV files, or a player such as [aplay, -q]")


@dataclass(frozen=True, kw_only=True)
class CommandSettings(SinkSettings):
    """A command: a list of arguments, run without a shell, with the event in VIGIL_* variables and on its input."""

    type: Literal["command"] = "command"
    argv: tuple[str, ...]
    in_flight: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.argv:
            raise UsageError(f"the sink {self.name}: argv names no command")


AnySink: TypeAlias = WebhookSettings | MqttSettings | MailSettings | AppriseSettings | SpeechSettings | CommandSettings


TAKE_TEXT = (MailSettings, AppriseSettings, WebhookSettings)
"""The settings of sinks that also take a text that is no alert, such as a report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """Cameras that see the same place, by name or id: what they see at about the same time is one incident."""

    name: str
    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentName:
    """What people call what a rule or a task finds, in each language."""

    rule: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """All sinks, and what holds for each of them.

    `link` is the address under which people reach the pages, for links to snapshots and clips. An event that nobody
    marks within `escalate_after_s` is sent to the sinks that escalate its tier. `incidents` are names of rules or tasks
    as people say them. `reports` of days and shifts are sent by themselves. At its end a watch waits up to `drain_s`
    for deliveries under way.
    """

    sinks: tuple[AnySink, ...] = ()
    sites: tuple[SiteSettings, ...] = ()
    link: str = ""
    escalate_after_s: float = 300.0
    incidents: tuple[IncidentName, ...] = ()
    timezone: str = ""
    drain_s: float = 5.0
    keep_days: float = 30.0
    reports: tuple[ReportSettings, ...] = ()

    def __post_init__(self) -> None:
        names = [sink.name for sink in self.sinks]
        taking_text = [sink.name for sink in self.sinks if isinstance(sink, TAKE_TEXT)]
        twice = sorted({name for name in names if names.count(name) > 1})
        problems = [f"two sinks are called {name}; give each its own name" for name in twice]
        problems += [
            f"{name} must be above 0" for name in ("escalate_after_s", "keep_days") if getattr(self, name) <= 0
        ]
        problems += ["drain_s must not be negative"] * (self.drain_s < 0)
        problems += report_problems(self.reports, names, taking_text)
        problems += [f"link: {self.link!r} must begin with http:// or https://"] * bool(
            self.link and not self.link.startswith(("http://", "https://"))
        )
        if problems:
            raise UsageError("; ".join(problems))
        if self.timezone:
            WeeklySchedule.parse("00:00-24:00", timezone=self.timezone)

    def sink(self, name: str) -> AnySink:
        """The settings of a sink; raises UsageError if there is none of this name."""
        found = next((sink for sink in self.sinks if sink.name == name), None)
        if found is None:
            known = ", ".join(sink.name for sink in self.sinks) or "none"
            raise UsageError(f"there is no sink {name!r}; the settings have: {known}")
        return found

    def site_of(self, camera_id: str, camera: str) -> str:
        """The name of the site of a camera; empty if it belongs to none."""
        return next((site.name for site in self.sites if {camera_id, camera} & set(site.cameras)), "")


def is_secret(text: str) -> bool:
    """Whether a setting names where a secret is."""
    return text.startswith(("env:", "file:"))


def require_secret(text: str, name: str) -> None:
    """Raises UsageError, without the text, if a secret stands in the settings themselves."""
    if text and not is_secret(text):
        raise UsageError(f"{name} must not stand in the settings; write env:NAME (a variable) or file:PATH")


def read_secret(text: str, *, environment: Mapping[str, str] = os.environ) -> str:
    """The secret that `env:NAME` or `file:PATH` names, or else the text itself; raises UsageError if there is none."""
    kind, _, name = text.partition(":")
    if kind == "env":
        if not environment.get(name):
            raise UsageError(f"the environment variable {name}, which the alerts' settings name, is not set")
        return environment[name].strip()
    if kind != "file":
        return text
    try:
        found = Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the file {name}, which the alerts' settings name, cannot be read: {error}") from error
    if not found:
        raise UsageError(f"the file {name}, which the alerts' settings name, is empty")
    return found


def check_webhook_url(url: str) -> None:
    """Raises UsageError, without the path, if a webhook's address cannot be used."""
    try:
        parsed = parse_address(url)
    except ValueError as error:
        raise UsageError(f"the url of a webhook {error}") from error
    if parsed.scheme not in ("http", "https"):
        raise UsageError(f"the url of a webhook begins with https:// or http://, not {parsed.scheme}://")
    if parsed.userinfo:
        raise UsageError("the url of a webhook must hold no user or password; write it as env:NAME or file:PATH")
