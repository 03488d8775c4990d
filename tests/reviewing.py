"""Stores for the tests of the review: events as a watch leaves them, with clips, frames, verdicts and deliveries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vigil.events import Event, EventWindow, Tier
from vigil.frames import encode_jpeg
from vigil.store import CameraRecord, Store
from vigil.store.deliveries import Delivery
from vigil.store.times import utc_now
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict
from watching import film

EPOCH_S = 1_760_000_000.0
"""2025-10-09T08:53:20Z: second 0 of every camera here."""

CLIP_S = 8


def review_event(number: int, *, camera: CameraRecord | None = None, **more: Any) -> Event:
    """An event of six seconds, a minute after the one before it; its clip begins three seconds before its onset."""
    onset_s = 60.0 * number
    windows = tuple(
        EventWindow(window=number * 30 + at, start_s=onset_s + 2.0 * at, end_s=onset_s + 2.0 * at + 2.5, p_alarm=p)
        for at, p in enumerate((0.94, 0.97, 0.93))
    )
    values: dict[str, Any] = {
        "id": f"e{number:04d}",
        "source": camera.name if camera else "door",
        "camera_id": camera.id if camera else "",
        "onset_s": onset_s,
        "end_s": onset_s + 6.5,
        "peak": 0.97,
        "peak_s": onset_s + 3.25,
        "tier": Tier.HIGH,
        "windows": windows,
        "announced_s": onset_s + 2.1 + 2.5,
        "epoch_s": EPOCH_S,
        "text": f"scene {number}",
        "task": "fight",
        "model": "tiny",
        "rule": "fight",
        "closed_because": "quiet",
    }
    return Event(**(values | more))


def camera_in(store: Store, name: str, *, place: str = "", kind: str = "stream") -> CameraRecord:
    """A camera that was watched, and the session that its verdicts belong to."""
    camera = store.cameras.register(CameraRecord(id="", name=name, identity=f"id-of-{name}", kind=kind))
    if place:
        store.cameras.set_place(camera.id, place)
    store.sessions.start(source=name, epoch_s=EPOCH_S, model="tiny", task="fight", camera=camera)
    return camera


def judge_all(store: Store, camera: CameraRecord, *, seconds: int, alarming: Callable[[float], float]) -> None:
    """A verdict every two seconds; `alarming` tells the probability at a second, below 0 if nothing is known."""
    judged = []
    for window in range(seconds // 2):
        start_s = 2.0 * window
        p = alarming(start_s)
        known = Verdict(
            outcome=Outcome.ALARM if p >= 0.5 else Outcome.NORMAL,
            p_alarm=p,
            start_s=start_s,
            end_s=start_s + 2.5,
            latency_ms=120.0,
            text="two people push" if p >= 0.5 else "nobody",
        )
        lost = Verdict.unknown(Cause.TIMEOUT, start_s=start_s, end_s=start_s + 2.5)
        verdict = lost if p < 0 else known
        judged.append(JudgedWindow(source=camera.name, camera_id=camera.id, window=window, verdict=verdict))
    store.verdicts.add(judged)


def keep_clip(store: Store, event: Event, *, codec: str = "libx264") -> Path:
    """A clip of eight seconds, from three seconds before the onset."""

    def write(path: Path) -> float:
        film(path, seconds=CLIP_S, bright=[(3, 7)], fps=10, size_wh=(320, 180), codec=codec)
        return event.onset_s - 3.0

    return store.media.keep(event.id, "clips", ".mp4", write)


def keep_pictures(store: Store, event: Event, *, with_frames: bool = True) -> None:
    """A snapshot, and the six judged frames of each window."""
    store.media.keep(event.id, "snapshots", ".jpg", lambda to: to.write_bytes(picture(event.id)) and None)
    for window in event.windows if with_frames else ():
        jpegs = [picture(f"{window.window}.{number}") for number in range(6)]
        store.media.keep_frames(event.id, window.window, jpegs)


def picture(text: str, *, size_wh: tuple[int, int] = (320, 180)) -> bytes:
    """A JPEG with a text on it."""
    image = np.full((size_wh[1], size_wh[0], 3), (52, 64, 78), np.uint8)
    cv2.rectangle(image, (60, 50), (150, 170), (150, 110, 90), -1)
    cv2.putText(image, text, (10, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (230, 230, 230), 2)
    return encode_jpeg(image, quality=80)


def tell(store: Store, event: Event, *sinks: str) -> None:
    """Says that an event was delivered to these sinks, the first of them at its second attempt."""
    for at, sink in enumerate(sinks):
        last = store.changes.last()
        store.deliveries.begin(f"alerts:{sink}", at=last - 1)
        now = utc_now()
        planned = Delivery(
            sink=sink,
            incident_id=event.id,
            revision=1,
            event_id=event.id,
            camera_id=event.camera_id,
            scope=event.source,
            kind="opened",
            sequence=last,
            event={},
            happened_utc=now,
            active_utc=now,
            due_utc=now,
        )
        for made in (
            store.deliveries.plan(sink, lambda *_, one=planned: one, consumer=f"alerts:{sink}", now_utc=now) or []
        ):
            if at == 0:
                store.deliveries.record(made, state="waiting", detail="503 Service Unavailable", due_utc=now)
            store.deliveries.record(made, state="delivered")
