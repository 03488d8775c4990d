import asyncio
import io
import json
from pathlib import Path

import pytest

from full_disk import full_disk
from vigil.events import TierThresholds
from vigil.verdict import Cause, JudgedWindow, Outcome, Verdict
from vigil.watch import WatchSettings
from vigil.watch import file_outputs as module
from vigil.watch.file_outputs import JsonLinesWriter
from watching import Notes, bright_server, film, watched

VERDICT_KEYS = ["source", "camera_id", "start_s", "end_s", "outcome", "cause", "p_alarm", "tier", "latency_ms", "text"]
EVENT_KEYS = ["event", "source", "camera_id", "onset_s", "end_s", "peak", "tier", "announced_s", "rule"]


class Lines(Notes):
    """Notes that also write the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.file = io.BytesIO()
        self.lines = JsonLinesWriter(self.file, WatchSettings().tiers)
        self.on_result = self.lines.on_result  # type: ignore[method-assign]
        self.on_change = self.lines.on_change  # type: ignore[method-assign]

    @property
    def read(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.file.getvalue().splitlines()]


def test_every_verdict_and_event_has_its_line_with_the_promised_keys(tmp_path: Path) -> None:
    lines = Lines()
    with bright_server() as server:
        asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=24, bright=[(6, 12)])], lines))
    events = [line for line in lines.read if "event" in line]
    verdicts = [line for line in lines.read if "event" not in line]
    assert all(list(line) == EVENT_KEYS for line in events) and all(list(line) == VERDICT_KEYS for line in verdicts)
    opened, closed = events
    assert opened["event"] == closed["event"] and opened["end_s"] is None and closed["end_s"] is not None
    alarms = [line for line in verdicts if line["outcome"] == "alarm"]
    assert alarms and all(line["tier"] == "high" and line["text"] for line in alarms)
    assert all(line["tier"] is None and line["text"] is None for line in verdicts if line["outcome"] == "normal")


def test_an_unknown_verdict_says_its_cause_and_claims_no_probability() -> None:
    file = io.BytesIO()
    JsonLinesWriter(file, TierThresholds()).on_result(
        JudgedWindow(source="s", window=0, verdict=Verdict.unknown(Cause.DROPPED, start_s=2.0))
    )
    line = json.loads(file.getvalue())
    assert (line["outcome"], line["cause"], line["p_alarm"], line["start_s"]) == ("unknown", "dropped", None, 2.0)


def say(lines: JsonLinesWriter, first: int, last: int) -> None:
    for number in range(first, last):
        verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=float(number), end_s=number + 2.5)
        lines.on_result(JudgedWindow(source="door", window=number, verdict=verdict))


def starts_of(path: Path) -> list[float]:
    return [json.loads(line)["start_s"] for line in path.read_bytes().splitlines()]


def test_lines_wait_while_the_disk_is_full_and_are_written_whole_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with path.open("wb", buffering=0) as file:
        lines = JsonLinesWriter(file, TierThresholds())
        say(lines, 0, 10)
        with full_disk(2000):
            say(lines, 10, 1010)
        assert len(path.read_bytes()) == 2000 and lines.trouble
        say(lines, 1010, 1020)
        lines.on_close()
    assert starts_of(path) == [float(number) for number in range(1020)] and (lines.lost, lines.trouble) == (0, "")


def test_lines_beyond_those_that_can_wait_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 5)
    path = tmp_path / "lines.jsonl"
    with path.open("wb", buffering=0) as file:
        lines = JsonLinesWriter(file, TierThresholds())
        with full_disk(200):
            say(lines, 0, 20)
        say(lines, 20, 21)
        lines.on_close()
    assert (lines.lost, starts_of(path)) == (14, [0.0, 1.0, 16.0, 17.0, 18.0, 19.0, 20.0])


def test_lines_that_still_wait_at_the_end_are_lost_and_counted(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        lines = JsonLinesWriter(file, TierThresholds())
        say(lines, 0, 3)
        lines.on_close()
    assert (lines.lost, lines.trouble) == (3, "No space left on device")


def test_half_a_character_of_a_model_costs_no_line() -> None:
    file = io.BytesIO()
    verdict = Verdict(outcome=Outcome.ALARM, p_alarm=0.9, text="a fall \ud83d")
    JsonLinesWriter(file, TierThresholds()).on_result(JudgedWindow(source="s", window=0, verdict=verdict))
    assert json.loads(file.getvalue())["text"] == "a fall \ud83d"
