"""An alarm of a camera that was added to a running service reaches a webhook, a broker, a mailbox and a WAV."""

import asyncio
import email
import email.policy
import json
import re
import subprocess
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiomqtt
import yaml
from aiosmtpd.controller import Controller

import http_camera
from alerting import receiver
from api_service import event, filled_store, service_at
from scripted_server import ScriptedServer
from services import mosquitto
from vigil.serving.server import free_port
from vigil.store import Store
from waiting import HANG_S, until
from watching import film

DOCS = Path(__file__).resolve().parents[3] / "docs"
LINK = "https://vigil.example.org"


class Mailbox:
    """Takes mails."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.SMTP))  # type: ignore[arg-type]
        return "250 OK"


def block_of(page: str, heading: str) -> str:
    """The first block of settings below a heading of a page."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(heading)[2]
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def command_of(page: str, heading: str) -> str:
    """The command that adds the camera, as the page shows it."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(heading)[2]
    found = re.search(r"```bash\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return next(line for line in found[1].splitlines() if line.startswith("curl"))


async def first_alarm(port: int) -> dict[str, Any]:
    async with asyncio.timeout(HANG_S), aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("vigil/+/alarm")
        async for message in client.messages:
            return dict(json.loads(bytes(message.payload)))  # type: ignore[arg-type]
    raise AssertionError("the broker closed")


def test_an_alarm_of_an_added_camera_reaches_every_sink(endpoint: ScriptedServer, tmp_path: Path) -> None:
    heading = "## With the service"
    settings = yaml.safe_load(block_of("alerts.md", heading))
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    mail_port, broker_port, box = free_port(), free_port(), Mailbox()
    fight = film(tmp_path / "fight.mp4", seconds=60, bright=[(2, 60)])
    mails = Controller(box, hostname="127.0.0.1", port=mail_port, ready_timeout=HANG_S)
    mails.start()
    with receiver() as hook, mosquitto(tmp_path / "broker", port=broker_port), http_camera.serving(fight) as camera:
        places = {"webhook": {"url": hook.url}, "mqtt": {"port": broker_port}, "email": {"port": mail_port}}
        places["speech"] = {"folder": str(tmp_path / "speech")}
        for sink in settings["alerts"]["sinks"]:
            sink |= places[sink["type"]]
        config = tmp_path / "cameras.yaml"
        config.write_text(yaml.safe_dump(settings), encoding="utf-8")
        seen = f"127.0.0.1:{camera.server_address[1]}"
        words = ("--config", str(config), "--allow-camera", seen)
        with service_at(endpoint.url, *words, folder=tmp_path, store=store) as service, service.client() as asking:
            until(lambda: asking.get("/ready").status_code == 200)
            command = command_of("alerts.md", heading).replace("127.0.0.1:8080", seen)
            shell = f"API={service.url}\n{command}"
            added = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=HANG_S, check=True)
            assert json.loads(added.stdout)["place"] == "北门"
            until(lambda: hook.taken)
            alarm = asyncio.run(first_alarm(broker_port))
            until(lambda: box.mails)
            until(lambda: list((tmp_path / "speech").glob("*.wav")))
            event = alarm["event"]["event"]
            assert asking.get(f"/events/{event}/speech", params={"language": "zh"}).status_code == 200
    mails.stop()
    told = hook.taken[0].json
    assert told["id"] == alarm["id"] and told["camera"]["name"] == "大门" and told["camera"]["place"] == "北门"
    assert told["links"]["event"] == f"{LINK}/en/events/{event}"
    assert told["links"]["clip"] == f"{LINK}/api/v1/events/{event}/clip"
    assert "北门 大门" in box.mails[0]["Subject"] and box.mails[0]["X-Vigil-Event"] == event
    [part, *_] = box.mails[0].iter_parts() if box.mails[0].is_multipart() else [box.mails[0]]
    assert f"{LINK}/zh/events/{event}" in part.get_content()


def test_what_is_due_is_sent_while_the_endpoint_is_down(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "store" / "events.db", events=1)
    down = f"http://127.0.0.1:{free_port()}/v1"
    with receiver() as hook:
        sink = {"type": "webhook", "name": "hook", "url": hook.url, "allow": ["127.0.0.0/8"], "escalate": ["high"]}
        config = tmp_path / "cameras.yaml"
        config.write_text(yaml.safe_dump({"alerts": {"sinks": [sink], "escalate_after_s": 1.0}}), encoding="utf-8")
        with service_at(down, "--config", str(config), folder=tmp_path, store=store) as service:
            with Store.open(store) as opened:
                # What is saved before a new sink has begun is history for it.
                until(lambda: any(name.endswith(":escalations") for name, _ in opened.cursors.all()))
                opened.events.save(event(99, event_id="late", epoch_s=time.time() - 991.0, end_s=None))
            until(lambda: any(each.json["kind"] == "escalated" for each in hook.taken))
            with service.client() as asking:
                assert not asking.get("/status").json()["is_watching"]
    assert {each.json["event"]["event"] for each in hook.taken} == {"late"}
