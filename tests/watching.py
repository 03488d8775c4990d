"""What the watcher's tests share: a server that calls bright pictures an alarm, and films that are bright at times."""

import base64
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from judging import IDS, SAMPLING, TASK, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer, stream
from vigil.events import EventChange
from vigil.frames import RGB, FrameSampling, decode_jpeg
from vigil.judge import Endpoint, Judge
from vigil.observation import Observation
from vigil.questions import Question
from vigil.sources.address import Address, find_sources
from vigil.store import Store
from vigil.verdict import JudgedWindow
from vigil.watch import SourceState, Watcher, WatchObserver, WatchSettings, WatchSummary
from waiting import HANG_S

EXTRA = {"libx265": {"x265-params": "log-level=none"}}
SAYS_YES = {"token_id:7": -0.02, "token_id:9": -4.0}
SAYS_NO = {"token_id:9": -0.02, "token_id:7": -4.0}
BAR_STEPS = 120
"""The bar of a film stands elsewhere in each of so many pictures, then begins again."""


@contextmanager
def bright_server(
    *, delay_s: float = 0.0, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """A real server that says Yes to windows whose last picture is bright, after `delay_s`."""
    with ScriptedServer(models=["tiny"], port=port, tls=tls) as running:
        running.routes["/tokenize"] = tokenized(IDS)
        running.default = lambda request: look(request, delay_s=delay_s)
        yield running


def look(request: Request, *, delay_s: float = 0.0) -> Reply:
    """The answer that the pictures in a request call for."""
    bright = is_bright(request)
    if request.body.get("stream"):
        return stream("Yes", ", two people push.", logprobs=SAYS_YES) if bright else stream("No", logprobs=SAYS_NO)
    told = yes(-0.02, -4.0) if bright else no()
    return Reply(body=told.body, delay_s=delay_s)


def is_bright(request: Request) -> bool:
    """Whether the last picture of a request is brighter than grey."""
    last = pictures_in(request)[-1:]
    return bool(last) and float(decode_jpeg(last[0]).mean()) > 128


def pictures_in(request: Request) -> list[bytes]:
    """The JPEGs of the window that a request shows."""
    urls = [part["video_url"]["url"] for part in request.parts if part["type"] == "video_url"]
    return [base64.b64decode(picture) for picture in urls[0].split(",")[1:]] if urls else []


def bar_in(image: RGB) -> int:
    """Which picture of a `film` this is, modulo `BAR_STEPS`: where its bar stands, on whatever ground."""
    columns = image.mean(axis=(0, 2))
    return int(np.abs(np.convolve(columns - np.median(columns), np.ones(8), "valid")).argmax())


def film(
    path: Path,
    *,
    seconds: float,
    bright: Sequence[tuple[float, float]] = (),
    fps: int = 8,
    size_wh: tuple[int, int] = (128, 96),
    codec: str = "libx264",
    movflags: str = "",
) -> Path:
    """A small film, H.264 unless another encoder is named, black but for the seconds named; a bar moves through it."""
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=fps)
        (stream.width, stream.height), stream.pix_fmt = size_wh, "yuv420p"
        stream.options = {"g": str(fps), "preset": "ultrafast"} | EXTRA.get(codec, {})
        for number in range(round(seconds * fps)):
            lit = any(start <= number / fps < end for start, end in bright)
            image = np.full((size_wh[1], size_wh[0], 3), 230 if lit else 20, np.uint8)
            image[:, number % BAR_STEPS : number % BAR_STEPS + 8] = 128
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@dataclass
class Notes(WatchObserver):
    """Everything a watch told, in order."""

    states: list[tuple[str, str]] = field(default_factory=list)
    judged_: list[JudgedWindow] = field(default_factory=list)
    told_: list[JudgedWindow] = field(default_factory=list)
    changes: list[EventChange] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    closed: bool = False

    def on_state(self, state: SourceState) -> None:
        self.states.append((state.name, str(state.stage)))

    def on_verdict(self, judged: JudgedWindow) -> None:
        self.judged_.append(judged)

    def on_result(self, judged: JudgedWindow) -> None:
        self.told_.append(judged)

    def on_observation(self, observation: Observation) -> None:
        self.observations.append(observation)

    def on_change(self, change: EventChange) -> None:
        self.changes.append(change)

    def on_close(self) -> None:
        self.closed = True

    def kinds(self, source: str = "") -> list[str]:
        """What happened to events, in order, growth left out."""
        return [c.kind for c in self.changes if c.kind != "grew" and source in ("", c.event.source)]


async def watched(
    server: ScriptedServer,
    sources: Sequence[Path | str],
    notes: Notes,
    *,
    store: Store | None = None,
    judge: dict[str, Any] | None = None,
    on_start: Any = None,
    others: Sequence[WatchObserver] = (),
    sampling: FrameSampling = SAMPLING,
    question: Question = TASK,
    **settings: Any,
) -> WatchSummary:
    """Watches sources with a judge of a question on this server."""
    made = WatchSettings(**{"deadline_s": HANG_S} | settings)
    addresses: list[Address] = find_sources([str(source) for source in sources])
    options: dict[str, Any] = {"media": "video", "retries": 0}
    options |= {"alarm_from": made.tiers.low, "deadline_s": made.deadline_s}
    async with await Judge.connect(Endpoint(url=server.url), question, sampling, **options | (judge or {})) as asked:
        watch = Watcher(addresses, judge=asked, settings=made, store=store, observers=[notes, *others])
        if on_start is not None:
            on_start(watch)
        return await watch.run()
