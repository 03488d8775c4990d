"""How long from a verdict to its webhook, and what is lost when the process is killed.

.venv/bin/python benchmarks/alerts.py --alarms 200 --kills 200 --json alerts.json

The first figure is from the moment at which a watcher has the change (before it is stored) until the receiver, in a
process thread of its own on the loopback, has the request. The second kills a process that saves and sends alarms, at
random moments, and counts what the receiver got in the end.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from alerting import alarm, alerts_to, receiver, save, webhook
from killed_alerts import kill_often
from vigil.alerts import Outbox
from vigil.store import Store
from waiting import until


def latencies_ms(folder: Path, *, alarms: int, pause_s: float) -> list[float]:
    """Milliseconds from a change to its webhook, one alarm at a time; each is stored before it is sent."""
    with receiver() as got, Store.open(folder / "speed.db") as store:
        with Outbox(alerts_to(webhook(got.url)), store) as outbox:
            began_s = {}
            for number in range(alarms):
                event = alarm(source=f"c{number}")
                began_s[event.id] = time.time()
                save(store, event, outbox)
                time.sleep(pause_s)
            until(lambda: len(got.taken) == alarms)
        return [(each.at_s - began_s[each.json["id"]]) * 1000.0 for each in got.taken]


def main() -> None:
    """Prints the figures, and writes them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alarms", type=int, default=200)
    parser.add_argument("--pause-s", type=float, default=0.05)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        spent = sorted(latencies_ms(Path(name), alarms=asked.alarms, pause_s=asked.pause_s))
        p50, p95 = statistics.median(spent), spent[int(0.95 * (len(spent) - 1))]
        figures: dict[str, float] = {"alarms": asked.alarms, "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
        print(f"verdict to webhook, {asked.alarms} alarms: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
        if asked.kills:
            with receiver(delay_s=0.01) as got:
                count = kill_often(Path(name) / "kills.db", got, kills=asked.kills)
            print(
                f"{count.kills} kills: {count.stored} alarms stored, {count.lost} lost, {count.twice} under two keys, "
                f"{count.repeated} posted again under the same key"
            )
            figures |= {name: getattr(count, name) for name in type(count).__slots__}
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
