import asyncio
import io
import json
from pathlib import Path

from vigil.events.judged import Judged
from vigil.events.rules import Tiers
from vigil.verdict import Cause, Verdict
from vigil.watch import WatchSettings
from vigil.watch.jsonl import JsonLines
from watching import Notes, bright_server, film, watched

VERDICT_KEYS = ["source", "start_s", "end_s", "outcome", "cause", "p_alarm", "tier", "latency_ms", "text"]
EVENT_KEYS = ["event", "source", "onset_s", "end_s", "peak", "tier", "announced_s"]


class Lines(Notes):
    """Notes that also write the lines."""

    def __init__(self) -> None:
        super().__init__()
        self.file = io.StringIO()
        self.lines = JsonLines(self.file, WatchSettings().events.tiers)
        self.told = self.lines.told  # type: ignore[method-assign]
        self.changed = self.lines.changed  # type: ignore[method-assign]

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
    file = io.StringIO()
    JsonLines(file, Tiers()).told(Judged(source="s", window=0, verdict=Verdict.unknown(Cause.DROPPED, start_s=2.0)))
    line = json.loads(file.getvalue())
    assert (line["outcome"], line["cause"], line["p_alarm"], line["start_s"]) == ("unknown", "dropped", None, 2.0)
