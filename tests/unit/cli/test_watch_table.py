import asyncio
import io
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from judging import no
from scripted_server import Reply
from vigil.cli import watch_table as module
from vigil.cli.watch_table import LINES, WatchTable
from vigil.watch import SourceState, Watcher
from vigil.watch.state import SourceStatus
from watching import Notes, bright_server, film, watched


def state(name: str, stage: SourceStatus, detail: str = "") -> SourceState:
    return SourceState(name=name, live=True, stage=stage, detail=detail)


def test_a_lost_camera_is_told_once_until_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    table = WatchTable()
    lost = state("yard", SourceStatus.LOST, "Connection refused; next try in 0.5 s")
    back = replace(lost, stage=SourceStatus.WATCHING, connections=2)
    for told in (lost, lost, state("door", SourceStatus.LOST, "no answer"), lost, back, lost, lost):
        table.on_state(told)
    names = [f"{record.levelname} {record.message.split(';')[0]}" for record in caplog.records]
    assert names == [
        "WARNING yard: lost: Connection refused",
        "WARNING door: lost: no answer",
        "INFO yard: reconnected",
        "WARNING yard: lost: Connection refused",
    ]


def test_those_in_trouble_are_shown_before_those_that_are_well() -> None:
    well = [state(f"camera {number:02d}", SourceStatus.WATCHING) for number in range(LINES)]
    rest = [
        state("a file", SourceStatus.ENDED),
        state("yard", SourceStatus.LOST),
        state("zoo", SourceStatus.UNREADABLE),
    ]
    event = state("window", SourceStatus.WATCHING)
    event.open_event = "high"
    shown = sorted([*well, *rest, event], key=module._rank)
    assert [each.name for each in shown[:4]] == ["window", "yard", "zoo", "camera 00"]
    assert shown[-1].name == "a file"


def test_the_table_is_printed_now_and_then_also_while_no_verdict_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY_S", 0.1)
    written = io.StringIO()
    table = WatchTable(stderr=Console(file=written, width=200))
    before_the_verdict: list[str] = []

    def follow(watch: Watcher) -> None:
        table.follow(watch)

    class Told(Notes):
        def on_verdict(self, judged: object) -> None:
            before_the_verdict.append(written.getvalue())

    with bright_server() as server, table:
        server.default = Reply(body=no().body, delay_s=1.0)
        asyncio.run(watched(server, [film(tmp_path / "a.mp4", seconds=3)], Told(), on_start=follow))
    assert before_the_verdict[0].count("a.mp4") > 2
