"""What a privacy mask hides is in no attachment of an alert: neither in a mail's picture nor in a webhook's parts."""

import asyncio
import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from alerting import Posted, alerts_to, receiver, webhook
from judging import SAMPLING, tokenized, yes
from vigil.alerts.outbox import Outbox
from vigil.alerts.settings import MailSettings
from vigil.frames import RGB, decode_jpeg
from vigil.manifest import Contract
from vigil.masks import Mask
from vigil.questions import load_question
from vigil.serving.server import free_port
from vigil.sources.address import SourceEntry
from vigil.sources.video_file import read_frames
from vigil.store import Store
from vigil.watch import WatchSettings
from vigil.watch.run import run_watch
from waiting import HANG_S, until
from watching import bright_server, film

LEFT = Mask(kind="privacy", points=((0, 0), (0.5, 0), (0.5, 1), (0, 1)))


class Mailbox:
    """Takes mails."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.SMTP))  # type: ignore[arg-type]
        return "250 OK"


def parts_of(posted: Posted) -> dict[str, bytes]:
    """The parts of a form by name."""
    head = f"Content-Type: {posted.headers['content-type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + posted.body, policy=email.policy.HTTP)
    return {
        str(part.get_param("name", header="content-disposition")): bytes(part.get_payload(decode=True))  # type: ignore[arg-type]
        for part in form.iter_parts()  # type: ignore[attr-defined]
    }


def is_masked(picture: RGB) -> bool:
    """Whether the left half is black and the right one is the bright film."""
    middle = picture.shape[1] // 2
    return int(picture[:, : middle - 4].max()) < 40 and int(picture[:, middle + 8 :].max()) > 200


def watched_with(sinks: tuple[Any, ...], path: Path, *, url: str) -> None:
    settings = WatchSettings(
        sources=(SourceEntry(url=str(path), name="door", masks=(LEFT,)),),
        url=url,
        model="tiny",
        store=str(path.parent / "events.db"),
        deadline_s=HANG_S,
        describe="never",
        alerts=alerts_to(*sinks, drain_s=HANG_S),
    )
    asyncio.run(run_watch(settings))


def test_a_mask_is_painted_in_the_attachments_of_mails_and_webhooks(tmp_path: Path) -> None:
    path, box, port = film(tmp_path / "a.mp4", seconds=12, bright=[(0, 12)]), Mailbox(), free_port()
    mails = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=HANG_S)
    mails.start()
    try:
        with bright_server() as server, receiver() as got:
            # Half of the picture is black for the model too, so any picture is an alarm here.
            server.default = lambda request: yes(-0.02, -4.0)
            server.routes["/tokenize"] = tokenized({"是的": [7], "没有": [9]})
            server.models.append(Contract.of(load_question("fight"), SAMPLING).alias)
            hook = webhook(got.url, media="parts", media_wait_s=HANG_S, clip_wait_s=HANG_S)
            mail = MailSettings(
                name="mail", host="127.0.0.1", port=port, security="none", sender="v@example.org",
                to=("guard@example.org",), media_wait_s=HANG_S,
            )  # fmt: skip
            watched_with((hook, mail), path, url=server.url)
            # What still waited for the clip when the file ended is sent at the next start.
            with Store.open(tmp_path / "events.db") as store, Outbox(alerts_to(hook, mail), store):
                until(lambda: any("clip" in parts_of(each) for each in got.taken))
    finally:
        mails.stop()
    with Store.open(tmp_path / "events.db") as store:
        assert len(store.events.find()) == 1
    (attached,) = [part for part in box.mails[0].walk() if part.get_content_maintype() == "image"]
    parts = [parts_of(each) for each in got.taken]
    pictures = [decode_jpeg(attached.get_content()), *(decode_jpeg(each["snapshot"]) for each in parts)]
    clip = tmp_path / "sent.mp4"
    clip.write_bytes(parts[-1]["clip"])
    pictures += [frame.image for frame in read_frames(clip, SAMPLING)]
    assert len(pictures) > 4 and all(map(is_masked, pictures))
