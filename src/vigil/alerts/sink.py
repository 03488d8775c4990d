"""Sink: what sends a message to one receiver, and `build_sink`, which makes one from its settings."""

from typing import Protocol, runtime_checkable

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import (
    AnySink,
    AppriseSettings,
    CommandSettings,
    MailSettings,
    MqttSettings,
    SpeechSettings,
)


class Sink(Protocol):
    """Sends messages, possibly several at a time."""

    async def send(self, message: AlertMessage) -> None:
        """Sends a message; returns once the receiver has it. Raises DeliveryError if it may not have it."""

    async def close(self) -> None:
        """Closes what is open."""


@runtime_checkable
class TextSink(Protocol):
    """A sink that also takes a text that is no alert, such as a report."""

    async def send_text(self, subject: str, text: str, *, key: str = "") -> None:
        """Sends a text as `Sink.send` does; `key` is the same for each attempt."""


def build_sink(settings: AnySink) -> Sink:
    """Makes a sink; raises UsageError if a secret or a program that it needs is missing."""
    # Imported here, so that a watch loads only the clients that its sinks need.
    if isinstance(settings, MqttSettings):
        from vigil.alerts.mqtt import MqttSink

        return MqttSink(settings)
    if isinstance(settings, MailSettings):
        from vigil.alerts.smtp import MailSink

        return MailSink(settings)
    if isinstance(settings, AppriseSettings):
        from vigil.alerts.apprise import AppriseSink

        return AppriseSink(settings)
    if isinstance(settings, SpeechSettings):
        from vigil.alerts.speech import SpeechSink

        return SpeechSink(settings)
    if isinstance(settings, CommandSettings):
        from vigil.alerts.command import CommandSink

        return CommandSink(settings)
    from vigil.alerts.webhook import WebhookSink

    return WebhookSink(settings)
