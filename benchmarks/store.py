"""What it costs that nothing is lost: a durable event, a batch of verdicts, a search, while another one reads.

.venv/bin/python benchmarks/store.py --events 500 --json store.json
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from vigil.events import Event, EventWindow, Tier, new_id
from vigil.store import EventFilter, RetentionSettings, Store, prune
from vigil.verdict import JudgedWindow, Outcome, Verdict

BATCH = 100
DAY_S = 86_400.0


def timed_ms(work: Callable[[], object]) -> float:
    """Milliseconds that a call takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000.0


def event(windows: int) -> Event:
    """An event of some windows, with words."""
    evidence = tuple(EventWindow(window=i, start_s=i * 2.0, end_s=i * 2.0 + 2.5, p_alarm=0.9) for i in range(windows))
    return Event(
        id=new_id(),
        source="door",
        onset_s=0.0,
        end_s=windows * 2.0 + 0.5,
        peak=0.9,
        peak_s=1.25,
        tier=Tier.MEDIUM,
        windows=evidence,
        text="两个人在门口打架" * 5,
    )


def judged(window: int) -> JudgedWindow:
    """A verdict as a quiet camera gives it."""
    verdict = Verdict(outcome=Outcome.NORMAL, p_alarm=0.1, start_s=window * 2.0, end_s=window * 2.0 + 2.5)
    return JudgedWindow(source="door", window=window, verdict=verdict)


def add(store: Store, first: int, count: int) -> None:
    store.verdicts.add([judged(first + i) for i in range(count)])


def measure(store: Store, reader: Store, count: int) -> dict[str, float]:
    """Every figure, each event save between a batch of verdicts and a look by the reader."""
    saves, batches, singles = [], [], []
    for i in range(count):
        batches.append(timed_ms(partial(add, store, i * BATCH, BATCH)))
        singles.append(timed_ms(partial(add, store, -1 - i, 1)))
        saves.append(timed_ms(lambda: store.events.save(event(8))))
        reader.events.find(EventFilter(limit=1))
    size_kb = Path(store.name).stat().st_size / 1000
    search_ms = timed_ms(lambda: reader.events.find(EventFilter(text="没有的词")))
    old = timed_ms(lambda: prune(store, RetentionSettings(verdict_days=1), clock=lambda: time.time() + 2 * DAY_S))
    return {
        "event_p50_ms": statistics.median(saves),
        "event_p95_ms": statistics.quantiles(saves, n=20)[-1],
        "verdicts_a_second": count * BATCH / (sum(batches) / 1000.0),
        "batch_against_single": statistics.median(singles) * BATCH / statistics.median(batches),
        "search_ms": search_ms,
        "prune_ms": old,
        "kb_a_thousand_windows": size_kb / (count * BATCH / 1000),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="where the store is made (default: the system's temporary folder)")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "events.db"
        with Store.open(path) as store, Store.open(path) as reader:
            figures = measure(store, reader, asked.events)
    for name, value in figures.items():
        print(f"{name:>24} {value:10.2f}")
    for name, value in figures.items():
        print(f"ratio store_{name} {value:.3f}")
    if asked.json:
        asked.json.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
