"""Apprise: one library for many services (Telegram, Slack, Feishu, WeCom, DingTalk, ntfy ...), if it is installed.

Its services cannot change a message that was sent, so an incident is one message unless the settings ask for more.
"""

import logging
from typing import Any

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import AppriseSettings, read_secret
from vigil.errors import DeliveryError, EnvironmentMissing, UsageError, redact


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), ()
    return True


# Apprise logs parts of the addresses, which hold tokens.
logging.getLogger("apprise").addFilter(_without_secrets)


class AppriseSink:
    """Sends messages to one service."""

    def __init__(self, settings: AppriseSettings) -> None:
        try:
            import apprise
        except ImportError as error:
            raise EnvironmentMissing("apprise is not installed; install it: pip install 'vigil[apprise]'") from error
        self._settings = settings
        self._service = apprise.Apprise()
        if not self._service.add(read_secret(settings.url)):
            raise UsageError(f"the address of the sink {settings.name} is none that apprise knows; see its list")

    async def send(self, message: AlertMessage) -> None:
        """Sends a message with its snapshot; raises DeliveryError."""
        language = self._settings.language
        body = "\n\n".join([message.text(language), *message.links(language).values()])
        pictures = [str(message.snapshot)] if message.snapshot is not None and message.snapshot.is_file() else None
        await self._notify(body=body, title=message.title(language), attach=pictures)

    async def send_text(self, subject: str, text: str, *, key: str = "") -> None:
        """Sends a text that is no alert, as Markdown; raises DeliveryError."""
        await self._notify(body=text, title=subject, body_format="markdown")

    async def _notify(self, **message: Any) -> None:
        if not await self._service.async_notify(**message):
            raise DeliveryError("the service did not take it; the log says why", is_unreachable=True)

    async def close(self) -> None:
        """Nothing is open."""
