"""Several rules on one camera: `vigil watch` in a process of its own, on a real RTSP stream and a real server."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from judging import SAMPLING, tokenized
from rtsp_server import running as camera
from scripted_server import ScriptedServer
from vigil.events import Event
from vigil.manifest import Contract
from vigil.questions import load_question
from vigil.store import Store
from vigil.verdict import JudgedWindow, Outcome
from waiting import HANG_S, until
from watching import bright_server, film

pytestmark = pytest.mark.e2e


SHORT_S, LONG_S = (4.0, 6.5), (11.0, 19.0)
"""When the film is bright: too short for loitering, and long enough. It is dark for its last six seconds."""

RULES = """
rules:
  - {{type: hysteresis, quiet_s: 1.5}}
  - {{type: duration, name: loitering, for_s: 4, gap_s: 1.5, schedule: "{open}", timezone: UTC}}
  - {{type: duration, name: at night, for_s: 4, gap_s: 1.5, schedule: "{closed}", timezone: UTC}}
  - {{type: count, name: unrest, times: 2, within_s: 12, gap_s: 1.5}}
  - {{type: sequence, name: over, first: {{}}, then: {{holds: false}}, within_s: 1, quiet_s: 1.5}}
describe: never
clips: {{max_s: 4.0, before_s: 1.0}}
capture: {{open_timeout_s: 20.0, read_timeout_s: 20.0}}
"""


def times(*, from_h: int, to_h: int) -> str:
    """A schedule from so many hours after now to so many."""
    now = datetime.now(UTC)
    return "-".join(f"{now + timedelta(hours=hours):%H:%M}" for hours in (from_h, to_h))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with bright_server() as server:
        server.routes["/tokenize"] = tokenized({"是的": [7], "没有": [9]})
        # Four times the usual pace: a window every half second.
        server.models.append(Contract.of(load_question("fight"), replace(SAMPLING, fps=8.0)).alias)
        yield server


@contextmanager
def watch(folder: Path, server: ScriptedServer, source: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`vigil watch` with the usual rule, two with schedules, of which one is open, one that counts, and a sequence."""
    config = folder / "watch.yaml"
    config.write_text(RULES.format(open=times(from_h=-1, to_h=2), closed=times(from_h=5, to_h=7)))
    options = ["--url", server.url, "--store", str(folder / "events.db"), "--jsonl", str(folder / "lines.jsonl")]
    command = [sys.executable, "-m", "vigil", "watch", source, "--config", str(config), *options, *words]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait(HANG_S)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The lines about events that are whole so far."""
    path = folder / "lines.jsonl"
    whole = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return [line for line in map(json.loads, whole) if "event" in line]


def stored(folder: Path) -> dict[str, list[Event]]:
    """The events in the store by the rule that they bear, in order."""
    events: dict[str, list[Event]] = {}
    with Store.open(folder / "events.db") as store:
        for event in sorted(store.events.find(), key=lambda event: event.onset_s):
            events.setdefault(event.rule, []).append(event)
    return events


def closed(folder: Path) -> list[str]:
    """The rules of the events that have closed so far."""
    return [line["rule"] for line in lines(folder) if line["end_s"] is not None]


def bright_runs(folder: Path, *, around: Event) -> list[list[JudgedWindow]]:
    """The windows that were alarms in the log of verdicts, each run of them up to the next that was none."""
    with Store.open(folder / "events.db") as store:
        windows = [each for each in store.verdicts.around(around, margin_s=60.0) if each.verdict.p_alarm is not None]
    runs = groupby(windows, key=lambda window: window.verdict.outcome)
    return [list(run) for outcome, run in runs if outcome is Outcome.ALARM]


def test_each_rule_makes_its_own_events_of_a_camera_and_a_closed_schedule_none(
    tmp_path: Path, server: ScriptedServer
) -> None:
    yard = film(tmp_path / "yard.mp4", seconds=25, bright=[SHORT_S, LONG_S])
    with camera(yard) as rtsp, watch(tmp_path, server, rtsp.address("yard"), "--max-pixels", "12288") as process:
        wanted = Counter(fight=2, loitering=1, unrest=1, over=1)
        until(lambda: process.poll() is not None or Counter(closed(tmp_path)) >= wanted)
        process.send_signal(signal.SIGINT)
        assert process.wait(HANG_S) == 0, (tmp_path / "log").read_text()
    events = stored(tmp_path)
    assert {rule: len(found) for rule, found in events.items()} == {"fight": 2, "loitering": 1, "unrest": 1, "over": 2}
    short, long = events["fight"]
    [loitering] = events["loitering"]
    # What was seen: the bright windows of the film's two spans, and the dark ones between and after them.
    first, second = bright_runs(tmp_path, around=long)
    # Windows last for 0.6 seconds and begin every half second, or later where some were dropped.
    for run, film_s in ((first, SHORT_S), (second, LONG_S)):
        assert run[-1].end_s - run[0].start_s <= film_s[1] - film_s[0] + 1.3
    assert [(event.onset_s, event.end_s) for event in (short, long)] == [
        (run[0].start_s, run[-1].end_s) for run in (first, second)
    ]
    # It began when the label began to hold, and was told four seconds of footage later.
    assert (loitering.onset_s, loitering.end_s) == (long.onset_s, long.end_s)
    assert (loitering.announced_s or 0.0) - loitering.onset_s >= 4.0 > (long.announced_s or 0.0) - long.onset_s
    assert loitering.closed_because == "quiet" and loitering.epoch_s is not None
    # The second alarm within twelve seconds; and what came after each of them, until the next one.
    assert events["unrest"][0].onset_s == short.onset_s and (events["unrest"][0].announced_s or 0.0) > long.onset_s
    assert [each.onset_s for each in events["over"]] == [first[-1].start_s, second[-1].start_s]
    assert short.end_s is not None and events["over"][0].end_s is not None
    assert short.end_s < events["over"][0].end_s <= second[0].end_s
    with Store.open(tmp_path / "events.db") as store:
        assert {file.kind for file in store.media.of_event(loitering.id)} == {"snapshots", "clips"}
        assert {change.event.rule for change in store.changes.after(0)} == set(events)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_rule_with_a_schedule_does_not_run_on_a_file_and_the_log_says_so(
    tmp_path: Path, server: ScriptedServer
) -> None:
    yard = film(tmp_path / "yard.mp4", seconds=25, bright=[SHORT_S, LONG_S])
    long = "rules.5={type: duration, name: long, for_s: 4, gap_s: 1.5}"
    with watch(tmp_path, server, str(yard), "--set", long) as process:
        assert process.wait(HANG_S) == 0, (tmp_path / "log").read_text()
    events = stored(tmp_path)
    assert {rule: len(found) for rule, found in events.items()} == {"fight": 2, "long": 1, "unrest": 1, "over": 2}
    assert (events["long"][0].onset_s, events["long"][0].end_s) == pytest.approx(LONG_S, abs=0.7)
    told = " ".join((tmp_path / "log").read_text().split())
    for rule in ("loitering", "at night"):
        assert told.count(f"the rule {rule} has a schedule") == 1
