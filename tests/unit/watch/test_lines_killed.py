"""JSON lines of a watch that is killed with -9 right before or right after it writes one: real processes."""

import asyncio
import json
import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prestarted
from full_disk import full_disk
from incidents import make_event
from scripted_server import ScriptedServer
from vigil.events import EventChange, TierThresholds
from vigil.store import Store
from vigil.watch.file_outputs import JsonLinesWriter, written_in
from vigil.watch.store_writer import StoreWriter
from watching import bright_server, film

WATCH = """
import os, signal, sys
from vigil.cli import watch_outputs
from vigil.cli.main import main
from vigil.watch.file_outputs import JsonLinesWriter

moment, kind = sys.argv[1].split()

class Killed(JsonLinesWriter):
    def on_change(self, change):
        hit = change.kind == kind and not change.late
        if hit and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().on_change(change)
        if hit and moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

watch_outputs.JsonLinesWriter = Killed
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with bright_server() as running:
        yield running


def watch(folder: Path, server: ScriptedServer, *, killed: str) -> tuple[int, list[dict[str, Any]]]:
    """One `vigil watch --jsonl` in a process of its own; its exit code and its lines about events."""
    source, db, lines = (str(folder / name) for name in ("fight.mp4", "e.db", "lines.jsonl"))
    words = ["watch", source, "--url", server.url, "--task", "fight_en", "--store", db, "--jsonl", lines]
    done = prestarted.run(["-c", textwrap.dedent(WATCH), killed, *words, "--set", "describe=never"])
    said = [json.loads(line) for line in Path(lines).read_text(encoding="utf-8").splitlines()]
    return done.returncode, [line for line in said if "event" in line]


@pytest.mark.parametrize(
    ("killed", "written", "late"),
    [
        ("before opened", 0, [None, 6.0]),
        ("after opened", 1, [6.0]),
        ("before closed", 1, [6.0]),
        ("after closed", 2, []),
    ],
)
def test_each_change_has_one_line_whenever_the_watch_is_killed(
    server: ScriptedServer, tmp_path: Path, killed: str, written: int, late: list[float | None]
) -> None:
    film(tmp_path / "fight.mp4", seconds=24, bright=[(6, 14)])
    code, before = watch(tmp_path, server, killed=killed)
    assert code == -signal.SIGKILL and len(before) == written
    code, then = watch(tmp_path, server, killed="never -")
    told_late = [line for line in then if line.get("late")]
    assert code == 0 and [line["end_s"] is None for line in told_late] == [end is None for end in late]
    [first, _] = sorted({line["event"] for line in then} | {line["event"] for line in before})
    assert {line["event"] for line in told_late} <= {first}
    numbers = [line["sequence"] for line in before + then]
    assert numbers == [1, 2, 3, 4] and len({line["camera_id"] for line in before + then}) == 1


def test_the_lines_of_a_file_are_known_also_where_it_is_long_torn_or_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    assert written_in(path) == written_in(tmp_path) == set()
    line = '{"event": "e%d", "sequence": %d}\n'
    path.write_text("x" * 2_000_000 + "\n" + '{"source": "a"}\n[1]\n' + line % (1, 7) + line % (2, 8) + '{"event": "e3')
    assert written_in(path) == {("e1", 7), ("e2", 8)}


def test_a_device_or_a_pipe_is_never_read_for_what_it_holds(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert written_in(Path("/dev/full")) == written_in(tmp_path / "pipe") == written_in(tmp_path) == set()


def test_what_waits_for_room_on_the_disk_is_not_taken_as_told(tmp_path: Path) -> None:
    """A line that waits in memory would be lost with it."""

    async def run(store: Store, lines: JsonLinesWriter) -> None:
        keeping = StoreWriter(store)
        keeping.is_behind = lambda: lines.is_behind
        for number in range(2):
            event = make_event(id=f"e{number}", camera_id="cam_1")
            assert await keeping.save_event(event, unpublished="opened")
            change = EventChange("opened", event, sequence=keeping.sequence_of(EventChange("opened", event)))
            with full_disk(0):
                lines.on_change(change)
            keeping.count_published(change)
            await keeping.flush()
            assert [each.event_id for each in store.changes.unpublished()] == ["e0", "e1"][: number + 1]
        lines.on_close()
        await keeping.close()

    with Store.open(tmp_path / "e.db") as store, (tmp_path / "lines").open("wb", buffering=0) as file:
        asyncio.run(run(store, JsonLinesWriter(file, TierThresholds())))
        assert store.changes.unpublished() == [] and len(written_in(tmp_path / "lines")) == 2
