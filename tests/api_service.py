"""What the tests of the service share: `vigil service` as a process of its own, its store, and those who ask it."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import prestarted
from browsing import Site, site_at
from vigil.events import Event, EventWindow, Tier
from vigil.frames import encode_jpeg
from vigil.store import CameraRecord, Store
from vigil.verdict import JudgedWindow, Outcome, Verdict
from waiting import HANG_S
from watching import film

EVENT = "20261120T115033123Z-9f3c21ab"
PASSWORD = "correct horse"
PROGRAM = ("-m", "vigil", "service")


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs, and the store that it shares with the tests."""

    site: Site
    store: Path

    @property
    def url(self) -> str:
        """Where its routes begin."""
        return f"{self.site.url}api/v1"

    def client(self, *, key: str = "", **more: Any) -> httpx.Client:
        """One who asks it, with a key or without."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers | more.pop("headers", {}), timeout=HANG_S, **more)


@contextmanager
def service_at(
    endpoint_url: str,
    *words: str,
    folder: Path,
    store: Path,
    env: Mapping[str, str] | None = None,
    is_prestarted: bool = True,
) -> Iterator[Service]:
    """`vigil service` as its own process until the end of the `with`."""
    kept = ("--set", "retention.media_days=36500", "--set", "retention.verdict_days=36500")
    options = ("--store", str(store), "--task", "fight_en", *kept, *words)
    with site_at(endpoint_url, *options, folder=folder, program=PROGRAM, env=env, is_prestarted=is_prestarted) as site:
        yield Service(site, store)


def vigil(*words: str, said: str = "") -> "subprocess.CompletedProcess[str]":
    """A command of `vigil`, as a process of its own."""
    return prestarted.run(["-m", "vigil", *words], said=said)


def event(number: int, *, tier: Tier = Tier.HIGH, camera_id: str = "", event_id: str = "", **more: Any) -> Event:
    """An event that lasted four seconds."""
    onset_s = number * 10.0
    window = EventWindow(window=1, start_s=onset_s, end_s=onset_s + 2.5, p_alarm=0.97)
    values: dict[str, Any] = {
        "id": event_id or f"e{number:04d}",
        "source": "door",
        "camera_id": camera_id,
        "onset_s": onset_s,
        "end_s": onset_s + 4.0,
        "peak": 0.97,
        "peak_s": onset_s + 1.0,
        "tier": tier,
        "windows": (window,),
        "announced_s": onset_s + 3.1,
        "epoch_s": 1_760_000_000.0,
        "text": "two people push",
        "task": "fight",
        "model": "tiny",
        "rule": "incident",
        "closed_because": "quiet",
    }
    return Event(**(values | more))


def filled_store(path: Path, *, events: int = 5) -> Path:
    """A store with events of one camera at a gate, of which the first has a clip, a snapshot, frames and verdicts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clip = film(path.parent / "made.mp4", seconds=3, bright=[(1, 2)])
    with Store.open(path) as store:
        camera = store.cameras.register(CameraRecord(id="", name="yard", identity="id-of-yard", kind="stream"))
        store.cameras.set_place(camera.id, "gate")
        first = event(1, camera_id=camera.id, event_id=EVENT, source="yard")
        verdict = Verdict(outcome=Outcome.ALARM, p_alarm=0.97, p_raw=0.9, p_outside=0.0, start_s=10.0, end_s=12.5)
        store.sessions.start(source="yard", epoch_s=1_760_000_000.0, model="tiny", task="fight", camera=camera)
        store.verdicts.add([JudgedWindow(source="yard", camera_id=camera.id, window=1, verdict=verdict)])
        store.events.save(first)
        store.media.keep(EVENT, "clips", ".mp4", lambda to: to.write_bytes(clip.read_bytes()))
        store.media.keep(EVENT, "snapshots", ".jpg", lambda to: to.write_bytes(picture()))
        store.media.keep_frames(EVENT, 1, [picture(), picture()])
        for number in range(2, events + 1):
            tier = Tier.HIGH if number % 2 else Tier.LOW
            store.events.save(event(number, tier=tier, text=f"number {number}"))
    return path


def picture(value: int = 200) -> bytes:
    """A small JPEG."""
    import numpy as np

    return encode_jpeg(np.full((96, 128, 3), value, np.uint8), quality=80)
