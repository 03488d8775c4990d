"""What the tests of the watch room share: a context of the pages with a store, and events in it."""

from pathlib import Path
from typing import Any

from app.allowed_cameras import AllowedCameras
from app.endpoint_monitor import EndpointMonitor
from app.language import translator
from app.web.context import SiteContext, SiteOptions
from app.web.uploads import Uploads

from vigil.events import Event, EventWindow, Tier
from vigil.judge import Endpoint
from vigil.store import Store
from vigil.watch import WatchSettings
from vigil.watch.background import BackgroundWatcher

EVIL = "<img src=x onerror=alert(1)> ${alert(2)} {{value}}"
CAMERA = "rtsp://admin:secret@10.0.0.7:554/door"


def context_of(folder: Path, *, sources: tuple[str, ...] = (), allow: tuple[str, ...] = (), **more: Any) -> SiteContext:
    """A context whose watch is not started: its cameras wait."""
    settings = WatchSettings(sources=sources, store=str(folder / "events.db"), url="http://127.0.0.1:9/v1")
    endpoint = Endpoint(url=settings.url)
    values: dict[str, Any] = {
        "t": translator("en"),
        "options": SiteOptions(),
        "settings": settings,
        "endpoint": endpoint,
        "status": EndpointMonitor(endpoint, settings),
        "uploads": Uploads.make(folder / "uploads", keep_s=60),
        "allowed": AllowedCameras.of([], allow),
        "service": BackgroundWatcher(settings),
    }
    return SiteContext(**(values | more))


def event(number: int, *, source: str = "door", text: str = "two people push", tier: Tier = Tier.HIGH) -> Event:
    evidence = EventWindow(window=number, start_s=number * 10.0, end_s=number * 10.0 + 2.5, p_alarm=0.97)
    return Event(
        id=f"e{number:04d}",
        source=source,
        onset_s=number * 10.0,
        end_s=number * 10.0 + 4.0,
        peak=0.97,
        peak_s=number * 10.0 + 1.0,
        tier=tier,
        windows=(evidence,),
        announced_s=number * 10.0 + 3.1,
        epoch_s=1_760_000_000.0,
        text=text,
        task="fight",
        model="tiny",
        closed_because="quiet",
    )


def with_events(folder: Path, *events: Event) -> Store:
    """A store that holds these events."""
    store = Store.open(folder / "events.db")
    for each in events:
        store.events.save(each)
    return store
