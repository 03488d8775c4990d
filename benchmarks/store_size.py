"""How long lists, filters and searches take in a store of a million verdicts and 50,000 events; with the query plans.

With SQLite also how many steps of its virtual machine each takes, which no other work on the machine changes.

.venv/bin/python benchmarks/store_size.py                                        SQLite, in a temporary folder
.venv/bin/python benchmarks/store_size.py --store postgresql+psycopg://USER@HOST/EMPTY_DATABASE
.venv/bin/python benchmarks/store_size.py --server                               a PostgreSQL server of its own
.venv/bin/python benchmarks/store_size.py --plans plans.txt --json size.json
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text

from vigil.events import Tier
from vigil.store import EventFilter, Store
from vigil.store.schema import cameras, event_windows, events, marks, sessions
from vigil.store.times import format_utc

CAMERAS = 8
SESSIONS_A_CAMERA = 10
STEP_S = 2.0
BEGAN_S = 1_780_000_000.0
EVERY_S = 60.0
AT_ONCE = 5000

PEOPLE = ("两个人", "一名男子", "几个孩子", "保安", "two men", "a woman", "a boy", "several people")
ACTS = (
    "在打架",
    "摔倒在地",
    "在门口徘徊",
    "翻越围墙",
    "are fighting",
    "falls down",
    "is loitering",
    "climbs the fence",
)
PLACES = (
    "停车场",
    "东北区域",
    "电梯口",
    "二号楼大门",
    "by the gate",
    "in the parking lot",
    "near the lift",
    "at the door",
)
RARE = ("举着雨伞", "a stray dog", "拖着行李箱", "an ambulance")

VERDICTS = """INSERT INTO verdicts (session_id, "window", start_s, end_s, outcome, p_alarm, latency_ms, detail,
    created_utc, camera_id)
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)
    SELECT :session, i, i * 2.0, i * 2.0 + 2.5, 'normal', 0.1, 40.0, '', :created, :camera FROM n"""


def fill(store: Store, *, verdicts: int, rows: int) -> None:
    """Fills an empty store quickly: verdicts by the database itself, events in bulk, then their search index."""
    chance = random.Random(20261129)
    with store.database.writing("filling") as connection:
        names = _cameras(connection)
        held = _sessions(connection, names, each=verdicts // (CAMERAS * SESSIONS_A_CAMERA))
        for begin in range(0, rows, AT_ONCE):
            made = [_event(number, held, chance) for number in range(begin, min(rows, begin + AT_ONCE))]
            connection.execute(events.insert(), made)
            windows = [_window(row, number) for row in made for number in range(3)]
            connection.execute(event_windows.insert(), windows)
            marked = [_mark(row, chance) for row in made if chance.random() < 0.3]
            connection.execute(marks.insert(), marked)
    store.search.index_missing()
    analyze = "ANALYZE" if store.database.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(analyze))


def _cameras(connection: Connection) -> list[str]:
    names = [f"cam_{number:08x}" for number in range(CAMERAS)]
    empty = dict.fromkeys(("kind", "address", "place", "created_utc", "watched_utc"), "")
    for number, camera in enumerate(names):
        row = {"id": camera, "name": f"摄像头C{number}", "source_name": f"c{number}", "identity": camera} | empty
        connection.execute(cameras.insert().values(row))
    return names


def _sessions(connection: Connection, names: list[str], *, each: int) -> list[tuple[str, str]]:
    held = [(f"s{number:02d}-{camera}", camera) for camera in names for number in range(SESSIONS_A_CAMERA)]
    empty = dict.fromkeys(("model", "task", "contract", "started_utc", "ended_because", "identity"), "")
    for session, camera in held:
        row = {"id": session, "source": camera, "epoch_s": BEGAN_S, "camera_id": camera} | empty
        connection.execute(sessions.insert().values(row))
        values = {"session": session, "camera": camera, "count": each, "created": format_utc(BEGAN_S)}
        connection.execute(text(VERDICTS), values)
    return held


def _event(number: int, held: list[tuple[str, str]], chance: random.Random) -> dict[str, Any]:
    session, camera = held[number % len(held)]
    happened_s = BEGAN_S + number * EVERY_S
    words = f"{chance.choice(PEOPLE)}{chance.choice(PLACES)}{chance.choice(ACTS)} {number % 997}"
    rare = chance.choice(RARE) if chance.random() < 0.002 else ""
    is_open = chance.random() < 0.0002
    return {
        "id": f"{format_utc(happened_s).replace('-', '').replace(':', '').replace('.', '')}-{number:08x}",
        "session_id": session,
        "source": camera,
        "task": "fight",
        "model": "m",
        "onset_s": float(number % 12000) * STEP_S,
        "end_s": None if is_open else float(number % 12000) * STEP_S + 20.0,
        "peak": 0.9,
        "peak_s": 1.0,
        "tier": chance.choices(("low", "medium", "high"), (80, 18, 2))[0],
        "text": f"{words} {rare}",
        "closed_because": "",
        "happened_utc": format_utc(happened_s),
        "ended_utc": "9999-12-31T23:59:59.999Z" if is_open else format_utc(happened_s + 20.0),
        "created_utc": format_utc(happened_s),
        "updated_utc": format_utc(happened_s),
        "camera_id": camera,
        "rule": "loitering" if chance.random() < 0.001 else "fight",
    }


def _window(row: dict[str, Any], number: int) -> dict[str, Any]:
    start_s = row["onset_s"] + number * STEP_S
    return {"event_id": row["id"], "window": number, "start_s": start_s, "end_s": start_s + 2.5, "p_alarm": 0.9}


def _mark(row: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    mark = chance.choices(("true", "false_alarm", "unsure"), (1, 98, 1))[0]
    return {"event_id": row["id"], "number": 1, "mark": mark, "who": "lena", "note": "", "marked_utc": ""}


def questions(store: Store, rows: int) -> dict[str, Callable[[], object]]:
    """What users ask of a store, by name."""
    last_s = BEGAN_S + rows * EVERY_S
    middle_s = BEGAN_S + rows * EVERY_S / 2
    middle = store.events.page(EventFilter(until_utc=format_utc(middle_s)))
    one = middle.events[0]
    filters = {
        "list": EventFilter(),
        "camera": EventFilter(source="摄像头C3"),
        "tier high": EventFilter(tier=Tier.HIGH),
        "open": EventFilter(open_only=True),
        "rare rule": EventFilter(rule="loitering"),
        "no such rule": EventFilter(rule="nothing"),
        "mark true": EventFilter(mark="true"),
        "mark false_alarm": EventFilter(mark="false_alarm"),
        "unmarked": EventFilter(mark="unmarked"),
        "last hour": EventFilter(since_utc=format_utc(last_s - 3600)),
        "an hour in the middle": EventFilter(
            since_utc=format_utc(BEGAN_S + rows * EVERY_S / 2),
            until_utc=format_utc(BEGAN_S + rows * EVERY_S / 2 + 3600),
        ),
        "text 打架": EventFilter(text="打架"),
        "text 举着雨伞": EventFilter(text="举着雨伞"),
        "text 伞": EventFilter(text="伞"),
        "text fighting": EventFilter(text="fighting"),
        "text ambulance": EventFilter(text="ambulance"),
        "text nowhere": EventFilter(text="没有的词"),
        "text tv": EventFilter(text="tv"),
        "text 打架 in camera, high, true": EventFilter(text="打架", source="摄像头C3", tier=Tier.HIGH, mark="true"),
        "text of a camera's name": EventFilter(text="头C3"),
    }
    asked: dict[str, Callable[[], object]] = {
        name: lambda wanted=wanted: store.events.page(wanted, size=25)  # type: ignore[misc]
        for name, wanted in filters.items()
    }
    return asked | {
        "a page in the middle": lambda: store.events.page(after=middle.next, size=25),
        "count": lambda: store.events.count(),
        "count of text 打架": lambda: store.events.count(EventFilter(text="打架")),
        "count of mark true": lambda: store.events.count(EventFilter(mark="true")),
        "names of cameras": store.events.sources,
        "one event": lambda: store.events.get(one.id),
        "verdicts around an event": lambda: store.verdicts.around(one, margin_s=30),
        "open events": store.events.find_open,
    }


def timed(ask: Callable[[], object], repeat: int) -> tuple[list[float], float]:
    """Milliseconds of each of some calls, after one that is not counted; and those of CPU that one took here."""
    ask()
    took = []
    used_s = time.process_time()
    for _ in range(repeat):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000.0)
    return took, (time.process_time() - used_s) * 1000.0 / repeat


def steps_of(store: Store, ask: Callable[[], object]) -> int | None:
    """Steps of SQLite's virtual machine that a call takes, to the nearest hundred, whatever else runs; else None."""
    if store.database.engine.dialect.name != "sqlite":
        return None
    hundreds = [0]

    def count() -> int:
        hundreds[0] += 1
        return 0

    def count_those_of(connection: Any, _: object) -> None:
        connection.set_progress_handler(count, 100)

    event.listen(store.database.engine, "connect", count_those_of)
    store.database.engine.dispose()
    ask()
    hundreds[0] = 0
    ask()
    event.remove(store.database.engine, "connect", count_those_of)
    store.database.engine.dispose()
    return hundreds[0] * 100


def plans(store: Store, ask: Callable[[], object]) -> str:
    """The plans of the queries of a call."""
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH")):
            asked.append((statement, parameters))

    event.listen(store.database.engine, "before_cursor_execute", note)
    ask()
    event.remove(store.database.engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if store.database.engine.dialect.name == "sqlite" else "EXPLAIN "
    with store.database.engine.connect() as connection:
        found = [
            f"{' '.join(statement.split())[-300:]}\n" + "\n".join(f"    {row[-1]}" for row in rows)
            for statement, parameters in asked
            for rows in [connection.exec_driver_sql(explain + statement, parameters).all()]
        ]
    return "\n".join(found)


@contextmanager
def opened(wanted: str | None, *, server: bool) -> Iterator[Store]:
    """The store to fill."""
    with tempfile.TemporaryDirectory() as folder:
        if not server:
            with Store.open(wanted or Path(folder) / "events.db", folder=Path(folder)) as store:
                yield store
            return
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
        from postgresql import running_server

        settings = ["shared_buffers=512MB", "work_mem=16MB", "max_wal_size=4GB"]
        with (
            running_server(settings=settings) as running,
            Store.open(running.new_database(), folder=Path(folder)) as store,
        ):
            yield store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verdicts", type=int, default=1_000_000)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--store", help="an empty database (default: a new SQLite file)")
    parser.add_argument("--server", action="store_true", help="start a PostgreSQL server for this")
    parser.add_argument("--plans", type=Path, help="write the query plans to this file")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    with opened(wanted.store, server=wanted.server) as store:
        began = time.perf_counter()
        fill(store, verdicts=wanted.verdicts, rows=wanted.events)
        engine = store.database.engine.dialect.name
        print(
            f"{engine}: {wanted.verdicts} verdicts, {wanted.events} events, {time.perf_counter() - began:.0f} s to fill"
        )
        figures, written = {}, []
        for name, ask in questions(store, wanted.events).items():
            took, cpu_ms = timed(ask, wanted.repeat)
            p50_ms, p95_ms = statistics.median(took), statistics.quantiles(took, n=20)[-1]
            figures[name] = {"p50_ms": p50_ms, "p95_ms": p95_ms, "cpu_ms": cpu_ms}
            steps = steps_of(store, ask)
            if steps is not None:
                figures[name]["steps"] = steps
            told = "" if steps is None else f"  {steps} steps"
            print(f"{name:>32} p50 {p50_ms:8.1f}  p95 {p95_ms:8.1f}  CPU here {cpu_ms:8.1f} ms{told}", flush=True)
            written.append(f"== {name}\n{plans(store, ask)}")
    if wanted.plans:
        wanted.plans.write_text("\n\n".join(written) + "\n", encoding="utf-8")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
