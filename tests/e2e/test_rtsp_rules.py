"""A camera with three questions and four rules, one of them about the lens: `vigil watch` on a real RTSP stream.

Each picture of the film says which second of the film it shows, and the server tells that second in how certain it is
of a fight, so that it stands in the store with each verdict. What events there must be follows from the film and from
those verdicts: a window that a busy host drops is not expected to have been seen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import pytest

from hall_camera import TOKENS, events_in, watch_hall
from judging import SAMPLING, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer
from vigil.frames import RGB, decode_jpeg
from vigil.manifest import Contract
from vigil.questions import load_question
from vigil.rules.camera_fault import CAMERA
from vigil.store import Store
from vigil.verdict import JudgedWindow
from watching import pictures_in

pytestmark = pytest.mark.e2e

FPS = 8
WIDTH, HEIGHT, STRIP = 128, 96, 16
BITS = 8
"""The strip at the bottom of a picture shows the number of the picture, two at a time, as dark and bright blocks."""

CALM_S, COVERED_S = 24.0, (24.0, 29.0)
SCENE = (((0.0, 11.0), "person lamp"), ((14.0, 17.0), "fight person"), ((17.0, CALM_S), "lamp"), (COVERED_S, "covered"))
LENGTH_S = 33.0
THINGS = ("fight", "person", "lamp")
"""Each has a third of the picture, which is bright where it is there."""

ABOUT = {"打架": "fight", "anybody": "person", "lights": "lamp"}
"""What each question is about, by a word of its text."""

SURE, UNSURE, PER_S = 0.95, 0.01, 0.001
"""How probable a fight is with and without one, and how much more so with each second of the film."""

CONFIG = """
sources: [{name: hall, url: ADDRESS}]
rules:
  - {type: hysteresis, quiet_s: 1.5, unknown_timeout_s: 600, max_event_s: 3600}
  - type: duration
    name: loitering
    question: people.yaml
    label: present
    for_s: 4
    gap_s: 1.5
    unknown_timeout_s: 600
  - type: duration
    name: lights left on
    all: [{question: lights.yaml, label: "on"}, {question: people.yaml, label: present, holds: false}]
    for_s: 4
    gap_s: 1.5
    unknown_timeout_s: 600
  - {type: camera, fault: covered, for_s: 2, gap_s: 1.5, unknown_timeout_s: 600}
queue_windows: 64
deadline_s: 600
describe: never
clips: {max_s: 0}
capture: {open_timeout_s: 60.0, read_timeout_s: 60.0}
"""
RULES = ("fight", "loitering", "lights left on", "camera covered")


def scene_at(second: float) -> str:
    return next((shown for (start_s, end_s), shown in SCENE if start_s <= second < end_s), "")


def picture(number: int) -> RGB:
    """A picture of the film; a covered lens shows an even grey, which gets lighter."""
    second = number / FPS
    shown = scene_at(second)
    if shown == "covered":
        return np.full((HEIGHT, WIDTH, 3), round(40 + 20 * (second - COVERED_S[0])), np.uint8)
    things = np.repeat([220 if thing in shown else 70 for thing in THINGS], [42, 44, 42])
    pattern = np.kron(np.random.default_rng(1).integers(-25, 26, (HEIGHT // 8, WIDTH // 8)), np.ones((8, 8)))
    grey = things[None] + pattern
    bits = [number // 2 >> bit & 1 for bit in range(BITS)]
    grey[-STRIP:] = np.repeat([235 if bit else 20 for bit in bits], WIDTH // BITS)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def second_of(grey: np.ndarray) -> float:
    """Which second of the film a picture shows."""
    if grey.std() < 10:
        return COVERED_S[0] + (float(grey.mean()) - 40) / 20
    bits = grey[-STRIP + 4 : -4].reshape(STRIP - 8, BITS, -1).mean(axis=(0, 2)) > 128
    return sum(1 << bit for bit in range(BITS) if bits[bit]) * 2 / FPS


def record(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"g": str(FPS), "preset": "ultrafast"}
        for number in range(round(LENGTH_S * FPS)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def seen(request: Request) -> Reply:
    """Yes if what the question is about is in the last picture; No to what a watch tries at its start."""
    about = next((thing for word, thing in ABOUT.items() if word in request.text), "")
    pictures = pictures_in(request)
    if not about or not pictures:
        return no()
    grey = decode_jpeg(pictures[-1]).mean(axis=2)
    third = np.array_split(grey[:-STRIP], 3, axis=1)[THINGS.index(about)]
    is_there = third[:, 8:-8].mean() > 150
    if about != "fight":
        return yes(-0.02, -4.0) if is_there else no()
    p = (SURE if is_there else UNSURE) + PER_S * second_of(grey)
    return yes(math.log(p), math.log(1 - p))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(models=["tiny"]) as running:
        running.routes["/tokenize"] = tokenized(TOKENS)
        # A window every second.
        running.models.append(Contract.of(load_question("fight"), replace(SAMPLING, fps=4.0)).alias)
        running.default = seen
        yield running


@dataclass(frozen=True)
class Seen:
    """A window as it was judged, and the second of the film at its end; None if nobody saw it."""

    window: JudgedWindow
    film_s: float | None

    @classmethod
    def of(cls, window: JudgedWindow) -> "Seen":
        p = window.verdict.p_alarm
        return cls(window, None if p is None else round((p - (SURE if p > 0.5 else UNSURE)) / PER_S, 2))

    def shows(self, rule: str) -> bool | None:
        """Whether it shows what a rule is about, by the film; the pixels of a covered lens were looked at apart."""
        if rule == "camera covered":
            answer = self.window.answers.get("camera covered")
            return None if answer is None or answer.label is None else answer.label == "shown"
        if self.film_s is None:
            return None
        scene = scene_at(self.film_s)
        return "lamp" in scene and "person" not in scene if rule == "lights left on" else WANTED[rule] in scene


WANTED: Mapping[str, str] = {"fight": "fight", "loitering": "person"}


def expected(rule: str, windows: Sequence[Seen]) -> list[tuple[float, float]]:
    """From when to when the events of a rule go on, in seconds of the source: the runs in which it holds."""
    found: list[tuple[float, float]] = []
    run: list[JudgedWindow] = []
    true_s = false_s = 0.0
    known_until_s = -math.inf
    for each in [*windows, None]:
        holds = None if each is None else each.shows(rule)
        if each is not None and holds is None:
            continue
        if each is not None:
            new_s = each.window.end_s - max(each.window.start_s, known_until_s)
            known_until_s = each.window.end_s
            false_s = 0.0 if holds else false_s + new_s
            if holds:
                run.append(each.window)
                true_s += new_s
        if each is None or false_s >= 1.5 - 1e-6:
            found += [(run[0].start_s, run[-1].end_s)] if has_opened(rule, run, true_s) else []
            run, true_s = [], 0.0
    return found


def has_opened(rule: str, run: Sequence[JudgedWindow], true_s: float) -> bool:
    if rule == "fight":
        return sum(not window.rest for window in run) >= 2
    return true_s >= {"camera covered": 2.0}.get(rule, 4.0) - 1e-6


def windows_in(folder: Path) -> list[Seen]:
    """The windows that were judged, in their order."""
    with Store.open(folder / "events.db", create=False) as store:
        return [
            Seen.of(each) for session in store.sessions.of_camera("hall") for each in store.verdicts.of_session(session)
        ]


def test_a_covered_lens_and_three_questions_have_the_right_events_at_the_right_seconds_and_none_else(
    tmp_path: Path, server: ScriptedServer
) -> None:
    watch_hall(record(tmp_path / "hall.mp4"), server, config=CONFIG, rules=RULES)
    events, windows = events_in(tmp_path), windows_in(tmp_path)
    told = {rule: [(event.onset_s, event.end_s) for event in events if event.rule == rule] for rule in RULES}
    wanted = {rule: expected(rule, windows) for rule in RULES}
    assert {rule: pytest.approx(np.array(spans).ravel()) for rule, spans in wanted.items()} == {
        rule: np.array(spans).ravel() for rule, spans in told.items()
    }
    assert all(told.values()) and {event.rule for event in events} == set(RULES)
    assert {event.task for event in events if event.rule == "camera covered"} == {CAMERA}
    # The pixels say that the lens is covered when the film does; of a window that shows both they may say either.
    for each in windows:
        if each.film_s is None or each.shows("camera covered") is None:
            continue
        first_s, margin_s = each.film_s - (each.window.end_s - each.window.start_s), 0.4
        inside = COVERED_S[0] + margin_s <= first_s and each.film_s < COVERED_S[1]
        outside = each.film_s < COVERED_S[0] or COVERED_S[1] + margin_s <= first_s
        assert each.shows("camera covered") is inside or not (inside or outside), (each.film_s, each.window)
