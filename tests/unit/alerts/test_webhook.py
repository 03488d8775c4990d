"""Webhooks: what is posted can be verified, and only addresses that were checked are dialled."""

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alerting import Receiver, alarm, receiver, webhook
from tls import Authority
from vigil.alerts import AlertMessage, AlertSettings
from vigil.alerts.message import compose
from vigil.alerts.settings import WebhookSettings
from vigil.alerts.webhook import WebhookSink
from vigil.config import from_mapping
from vigil.errors import ConfigError, DeliveryError, UsageError
from vigil.store import MediaFile
from vigil.store.deliveries import Delivery
from vigil.store.event_record import event_record


def message(*, link: str = "", media: tuple[MediaFile, ...] = (), **fields: Any) -> AlertMessage:
    event = alarm(**fields)
    delivery = Delivery(
        sink="hook",
        incident_id=event.id,
        revision=1,
        event_id=event.id,
        camera_id="",
        scope="door/fight",
        kind="opened",
        sequence=7,
        event=event_record(event),
        happened_utc="2026-11-29T15:00:00.000Z",
        active_utc="2026-11-29T15:00:00.000Z",
    )
    return compose(delivery, AlertSettings(link=link), media=media)


def post(settings: WebhookSettings, sent: AlertMessage | None = None) -> None:
    async def run() -> None:
        sink = WebhookSink(settings)
        try:
            await sink.send(sent or message())
        finally:
            await sink.close()

    asyncio.run(run())


def refused(settings: WebhookSettings) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        post(settings)
    return caught.value


@pytest.mark.parametrize("secret", ["plain words", "whsec_" + base64.b64encode(b"some bytes").decode()])
def test_a_receiver_can_verify_who_sent_what_and_when(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("HOOK_SECRET", secret)
    with receiver() as got:
        post(webhook(got.url, secret="env:HOOK_SECRET"))
    [posted] = got.posted
    key = b"some bytes" if secret.startswith("whsec_") else secret.encode()
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert posted.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(posted.headers["webhook-timestamp"]) - posted.at_s) < 300
    assert posted.headers["idempotency-key"] == posted.headers["webhook-id"] == f"hook/{posted.json['id']}/1"


def test_links_lead_to_the_event_under_the_address_of_the_pages() -> None:
    with receiver() as got:
        sent = message(link="https://vigil.example/")
        post(webhook(got.url), sent)
    assert got.posted[0].json["links"] == {
        "event": f"https://vigil.example/en/events/{sent.id}",
        "snapshot": f"https://vigil.example/api/v1/events/{sent.id}/snapshot",
        "clip": f"https://vigil.example/api/v1/events/{sent.id}/clip",
    }


def test_parts_carry_the_event_its_snapshot_and_its_clip(tmp_path: Path) -> None:
    files = {"snapshots": (tmp_path / "a.jpg", b"\xff\xd8\r\n--x"), "clips": (tmp_path / "a.mp4", b"film")}
    for path, data in files.values():
        path.write_bytes(data)
    media = tuple(
        MediaFile(path=path, key=path.name, place=str(path), event_id="e", kind=kind, size_bytes=1)  # type: ignore[arg-type]
        for kind, (path, _) in files.items()
    )
    with receiver() as got:
        post(webhook(got.url, media="parts"), message(media=media, text="二人推搡"))
    [posted] = got.posted
    head = f"Content-Type: {posted.headers['content-type']}\r\n\r\n".encode()
    parts = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in email.message_from_bytes(head + posted.body, policy=email.policy.HTTP).iter_parts()
    }
    assert parts["snapshot"] == b"\xff\xd8\r\n--x" and parts["clip"] == b"film"
    assert "二人推搡".encode() in parts["event"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]",
        "10.0.0.7", "192.168.1.7", "172.16.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fc00::1]",
        "[fec0::1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:7::1]",
        "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "[::7f00:1]",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused_however_they_are_written(host: str) -> None:
    with receiver() as got:
        try:
            settings = webhook(f"http://{host}:{got.port}/", allow=())
        except UsageError as error:
            assert "numeric host" in str(error)
            return
        error = refused(settings)
    assert "no public address" in str(error) and got.posted == []


@contextmanager
def names(monkeypatch: pytest.MonkeyPatch, **known: list[str]) -> Iterator[list[str]]:
    """A resolver that knows names, each with its answers in turn; yields what was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        plain = host.decode() if isinstance(host, bytes) else host
        if plain.split(".")[0] not in known:
            return real(host, port, *args, **kwargs)
        asked.append(plain)
        answers = known[plain.split(".")[0]]
        return real(answers.pop(0) if len(answers) > 1 else answers[0], port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    yield asked


def test_a_name_that_leads_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as got, names(monkeypatch, hooks=["127.0.0.1"]):
        error = refused(webhook(f"http://hooks.example:{got.port}/", allow=("10.0.0.0/8",)))
    assert "127.0.0.1" in str(error) and got.posted == []


def test_the_address_that_was_checked_is_the_one_that_is_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere the second time is asked for once for each connection."""
    with receiver() as got, names(monkeypatch, hooks=["127.0.0.1", "10.255.255.1"]) as asked:
        post(webhook(f"http://hooks.example:{got.port}/", allow=("127.0.0.1",)))
    assert len(got.taken) == 1 and asked == ["hooks.example"]


def test_a_redirect_is_not_followed() -> None:
    with receiver() as inside, receiver(status=302, headers={"Location": inside.url}) as got:
        error = refused(webhook(got.url))
    assert "302, a redirect" in str(error) and len(got.posted) == 1 and inside.posted == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as proxy, receiver() as got:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        post(webhook(got.url))
    assert len(got.taken) == 1 and proxy.posted == []


def test_a_certificate_of_an_own_authority_needs_to_be_named_and_its_host_checked(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path / "ca")
    with receiver(tls=authority.server()) as got:
        assert "certificate" in str(refused(webhook(got.url)))
        post(webhook(got.url, ca_file=authority.file))
        assert len(got.taken) == 1
    with receiver(tls=authority.server(name="DNS:other.example")) as other:
        assert "certificate" in str(refused(webhook(other.url, ca_file=authority.file)))
    assert other.posted == []


def test_errors_say_what_happened_and_hold_no_token() -> None:
    with receiver(status=503) as got:
        assert "503" in str(refused(webhook(f"{got.url}/s3cr3t-token")))
    away = refused(webhook(f"{got.url}/s3cr3t-token"))
    assert away.is_unreachable and "no connection to 127.0.0.1" in str(away) and "s3cr3t" not in str(away)


def test_settings_with_a_secret_in_them_are_refused_without_showing_it() -> None:
    values = {"name": "h", "url": "https://h.example/", "secret": "hunter2"}
    with pytest.raises(UsageError, match="write env:NAME") as caught:
        from_mapping(WebhookSettings, values, where="x.yaml")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [("ftp://h.example/", "begins with https"), ("https://me:pw@h.example/", "no user"), ("h.example", "no scheme")],
)
def test_a_url_that_cannot_be_used_is_refused_at_the_start(url: str, problem: str) -> None:
    with pytest.raises((UsageError, ConfigError), match=problem):
        webhook(url)


def test_an_unresponsive_port_does_not_count_as_taken() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        away = Receiver(port=listening.getsockname()[1])
        assert refused(webhook(away.url)).is_unreachable
