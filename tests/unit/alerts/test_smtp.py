"""E-mail through a real SMTP server."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import AuthResult, LoginPassword

from alerting import alarm, alerts_to, save, settled, write_media
from mail_server import Mailbox
from mail_server import mail_server as server
from tls import Authority
from vigil.alerts import Outbox
from vigil.alerts.settings import MailSettings
from vigil.store import CameraRecord, Store
from waiting import until


def mail(port: int, **more: Any) -> MailSettings:
    values = {"security": "none", "sender": "vigil@example.org", "to": ("guard@example.org",)} | more
    return MailSettings(name="mail", host="127.0.0.1", port=port, **values)


def test_a_mail_has_the_words_and_the_snapshot(store: Store) -> None:
    box, camera = Mailbox(refusals=1), store.cameras.register(CameraRecord(id="", name="C3", place="东北区域"))
    with server(box) as port:
        alerts = alerts_to(
            mail(port, language="zh", media_wait_s=600.0), link="https://v.example", timezone="Asia/Shanghai"
        )
        with Outbox(alerts, store) as outbox:
            event = save(store, alarm(camera_id=camera.id, source="C3", text="两个人推搡"), outbox)
            files = write_media(store, event)
            save(store, replace(event, end_s=9.0), outbox)
            until(lambda: box.mails)
            [delivery] = settled(store)
    [sent] = box.mails
    assert sent["Subject"] == "告警：打架，东北区域 C3" and sent["To"] == "guard@example.org"
    [text, picture] = sent.iter_parts()
    assert "检测到打架，东北区域摄像头C3，23:47:46" in text.get_content() and "两个人推搡" in text.get_content()
    assert f"https://v.example/zh/events/{event.id}" in text.get_content().splitlines()
    assert f"https://v.example/api/v1/events/{event.id}/clip" in text.get_content()
    assert picture.get_content_type() == "image/jpeg" and picture.get_content() == files["snapshots"]
    assert delivery.attempts == 2


def test_later_mails_belong_to_the_thread_of_the_first(store: Store) -> None:
    box = Mailbox()
    with server(box) as port, Outbox(alerts_to(mail(port, updates=True, media_wait_s=0.0)), store) as outbox:
        event = save(store, alarm(), outbox)
        until(lambda: box.mails)
        save(store, replace(event, end_s=9.0), outbox)
        until(lambda: len(box.mails) == 2)
    assert box.mails[1]["In-Reply-To"] == box.mails[0]["Message-ID"] != box.mails[1]["Message-ID"]


def test_a_login_goes_over_tls_only_to_a_server_whose_certificate_is_known(
    store: Store, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("MAIL", "s3cr3t")
    authority, logins = Authority.make(tmp_path / "ca"), []

    def check(*args: Any) -> AuthResult:
        data = args[-1]
        assert isinstance(data, LoginPassword)
        logins.append(data.password)
        return AuthResult(success=data.password == b"s3cr3t")

    tls = {"tls_context": authority.server(), "require_starttls": True}
    box = Mailbox()
    with server(box, **tls, authenticator=check, auth_required=True) as port:
        login = {"security": "starttls", "user": "vigil", "password": "env:MAIL", "media_wait_s": 0.0}
        with Outbox(alerts_to(mail(port, **login)), store) as outbox:
            save(store, alarm(), outbox)
            until(lambda: [each for each in store.deliveries.find() if each.attempts])
        assert logins == [] and "ertificate" in store.deliveries.find()[0].detail
        with Outbox(alerts_to(mail(port, **login, ca_file=authority.file)), store):
            settled(store)
    assert logins == [b"s3cr3t"] and len(box.mails) == 1
