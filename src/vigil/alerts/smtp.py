"""E-mail: one mail for an incident, with the snapshot; later ones, if wanted, belong to its thread."""

import ssl
from asyncio import to_thread
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from hashlib import sha256

import aiosmtplib

from vigil.alerts.message import AlertMessage
from vigil.alerts.settings import MailSettings, read_secret
from vigil.errors import DeliveryError, UsageError, redact

DOMAIN = "alerts.vigil.invalid"
"""The domain of message ids; it cannot exist, so it is nobody's."""


class MailSink:
    """Sends mails through one server."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._password = read_secret(settings.password) if settings.password else None
        try:
            self._tls = ssl.create_default_context(cafile=settings.ca_file)
        except OSError as error:
            raise UsageError(f"the certificates in {settings.ca_file} cannot be used: {error}") from error

    async def send(self, message: AlertMessage) -> None:
        """Sends a mail; raises DeliveryError unless the server took it for every recipient."""
        await self._transmit(await to_thread(self.mail, message))

    async def send_text(self, subject: str, text: str, *, key: str = "") -> None:
        """Sends a text that is no alert, such as a report; raises DeliveryError as `send` does."""
        mail = self._headed(subject)
        mail["Message-ID"] = _mail_id(key) if key else make_msgid(domain=DOMAIN)
        mail.set_content(text)
        await self._transmit(mail)

    async def _transmit(self, mail: EmailMessage) -> None:
        settings = self._settings
        try:
            refused, _ = await aiosmtplib.send(
                mail,
                sender=settings.sender,
                recipients=list(settings.to),
                hostname=settings.host,
                port=settings.port,
                username=settings.user or None,
                password=self._password,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                tls_context=None if settings.security == "none" else self._tls,
                timeout=settings.deadline_s,
            )
        except aiosmtplib.SMTPException as error:
            raise _translated(error, f"{settings.host}:{settings.port}") from error
        except OSError as error:
            why = f"no connection to {settings.host}:{settings.port}: {error.strerror or error}"
            raise DeliveryError(why, is_unreachable=True) from error
        if len(refused) == len(settings.to):
            raise DeliveryError(f"the server refuses {', '.join(refused)}")

    async def close(self) -> None:
        """Nothing is open."""

    def mail(self, message: AlertMessage) -> EmailMessage:
        """The mail; its id is made of the message's key, so that a mailbox can tell repetitions."""
        language = self._settings.language
        mail = self._headed(message.title(language))
        mail["Message-ID"] = _mail_id(message.key)
        mail["X-Vigil-Event"] = message.id
        if message.revision > 1:
            first = _mail_id(f"{message.key.rpartition('/')[0]}/1")
            mail["In-Reply-To"] = mail["References"] = first
        mail.set_content("\n\n".join([message.text(language), *message.links(language).values()]) + "\n")
        if message.snapshot is not None:
            # Retention may have deleted it.
            with suppress(OSError):
                picture = message.snapshot.read_bytes()
                mail.add_attachment(picture, maintype="image", subtype="jpeg", filename="snapshot.jpg")
        return mail

    def _headed(self, subject: str) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = " ".join(subject.split())
        mail["From"] = self._settings.sender
        mail["To"] = ", ".join(self._settings.to)
        mail["Date"] = formatdate(localtime=True)
        mail["Auto-Submitted"] = "auto-generated"
        return mail


def _mail_id(key: str) -> str:
    return f"<{sha256(key.encode()).hexdigest()[:32]}@{DOMAIN}>"


def _translated(error: aiosmtplib.SMTPException, where: str) -> DeliveryError:
    said = redact(" ".join(str(error).split()))
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return DeliveryError(f"the mail server {where} rejects user or password")
    connection = (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError)
    return DeliveryError(f"the mail server {where} failed: {said}", is_unreachable=isinstance(error, connection))
