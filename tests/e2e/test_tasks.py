"""A camera with four questions and four rules: `vigil watch` in a process of its own, on a real RTSP stream.

What is in the picture is told by its colours, which a scripted server reads out of the JPEGs that it is sent.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from hall_camera import TOKENS, events_in, watch_hall
from judging import SAMPLING, no, tokenized, yes
from scripted_server import Reply, Request, ScriptedServer
from vigil.frames import decode_jpeg
from vigil.manifest import Contract
from vigil.questions import load_question
from watching import pictures_in

pytestmark = pytest.mark.e2e

FPS = 8
LIT, UNLIT, COVERED = 220, 70, 5
"""Red is a fight, green a person, blue a lamp; a lens that is covered shows nothing at all."""

SCENE = (
    ((0.0, 11.0), "person lamp"),
    ((11.0, 14.0), ""),
    ((14.0, 17.0), "fight person"),
    ((17.0, 24.0), "lamp"),
    ((24.0, 27.0), "covered"),
    ((27.0, 33.0), ""),
)
COLOURS = ("fight", "person", "lamp")
ABOUT = {"打架": "fight", "anybody": "person", "lights": "lamp", "covered": "covered"}
"""What each question is about, by a word of its text."""

CONFIG = """
sources:
  - name: hall
    url: ADDRESS
    tasks: [people.yaml, {question: lights.yaml}, {ask: "Is the lens covered?", name: covered}]
    thresholds: [{rule: covered, quiet_s: 1.5}]
rules:
  - {type: hysteresis, quiet_s: 1.5}
  - {type: duration, name: loitering, question: people.yaml, label: present, for_s: 4, gap_s: 1.5}
  - type: duration
    name: lights left on
    all: [{question: lights.yaml, label: "on"}, {question: people.yaml, label: present, holds: false}]
    for_s: 4
    gap_s: 1.5
describe: never
clips: {max_s: 0}
capture: {open_timeout_s: 20.0, read_timeout_s: 20.0}
"""


def scene_at(second: float) -> str:
    return next((shown for (start_s, end_s), shown in SCENE if start_s <= second < end_s), "")


def coloured_film(path: Path) -> Path:
    """The scene as a film, with a grey bar that moves through it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.options = {"g": str(FPS), "preset": "ultrafast"}
        for number in range(round(SCENE[-1][0][1] * FPS)):
            shown = scene_at(number / FPS)
            colour = [LIT if each in shown else UNLIT for each in COLOURS]
            image = np.full((96, 128, 3), [COVERED] * 3 if shown == "covered" else colour, np.uint8)
            image[:8, number % 120 : number % 120 + 8] = 128
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def seen(request: Request) -> Reply:
    """Yes if what the question is about is in the last picture; No to what a watch tries at its start."""
    about = next((thing for word, thing in ABOUT.items() if word in request.text), "")
    pictures = pictures_in(request)
    if not about or not pictures:
        return no()
    channels = decode_jpeg(pictures[-1]).mean(axis=(0, 1))
    is_there = channels.max() < 40 if about == "covered" else channels[COLOURS.index(about)] > 145
    return yes(-0.02, -4.0) if is_there else no()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(models=["tiny"]) as running:
        running.routes["/tokenize"] = tokenized(TOKENS)
        # A window every half second.
        running.models.append(Contract.of(load_question("fight"), replace(SAMPLING, fps=8.0)).alias)
        running.default = seen
        yield running


def test_a_camera_with_four_questions_and_four_rules_has_the_right_events_and_none_else(
    tmp_path: Path, server: ScriptedServer
) -> None:
    wanted = {"fight", "loitering", "lights left on", "covered"}
    watch_hall(coloured_film(tmp_path / "hall.mp4"), server, config=CONFIG, rules=wanted)
    events = events_in(tmp_path)
    # The stream may begin somewhere in the film and begins anew after its end: seconds count from the fight on.
    assert Counter(event.rule for event in events) == Counter(wanted), [(e.rule, e.onset_s, e.end_s) for e in events]
    by_rule = {event.rule: event for event in events}
    fight = by_rule["fight"]
    spans = {
        rule: (event.onset_s - fight.onset_s + 14.0, (event.end_s or 0.0) - fight.onset_s + 14.0)
        for rule, event in by_rule.items()
    }
    assert spans["fight"] == pytest.approx((14.0, 17.0), abs=2.0)
    assert spans["loitering"][1] == pytest.approx(11.0, abs=2.0)
    assert spans["lights left on"] == pytest.approx((17.0, 24.0), abs=2.0)
    assert spans["covered"] == pytest.approx((24.0, 27.0), abs=2.0)
    assert {event.source for event in events} == {"hall"}
    assert {by_rule[rule].task for rule in ("fight", "covered")} != {"fight"}, "the question that an event answers"
