"""What k of n windows costs and saves: false events an hour, incidents missed, split or late, on drawn verdicts.

Windows err independently here, which real ones do not quite: compare rows, do not take the figures as a promise.

    .venv/bin/python benchmarks/hysteresis.py --hours 200 --json hysteresis.json
"""

import argparse
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from vigil.events import Event
from vigil.rules.hysteresis import HysteresisRule, HysteresisSettings
from vigil.verdict import JudgedWindow, Outcome, Verdict

STRIDE_S = 2.0
WINDOW_S = 2.5
EVERY_S = 600.0
LASTS_S = 20.0
RULES = ((1, 1), (2, 2), (2, 3), (3, 5), (3, 3))
ERRORS = ((0.01, 0.9), (0.03, 0.7))


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one rule on one judge."""

    k: int
    n: int
    false_alarm: float
    hit: float
    false_an_hour: float
    missed: float
    split: float
    late_s: float


def verdicts(hours: int, *, false_alarm: float, hit: float) -> Iterator[JudgedWindow]:
    """An incident of 20 s every ten minutes; a window over one is seen with probability `hit`."""
    draw = random.Random(7)
    for i in range(int(hours * 3600 / STRIDE_S)):
        start_s = i * STRIDE_S
        seen = draw.random() < (hit if in_incident(start_s, start_s + WINDOW_S) else false_alarm)
        p = 0.9 if seen else 0.2
        outcome = Outcome.ALARM if seen else Outcome.NORMAL
        verdict = Verdict(outcome=outcome, p_alarm=p, start_s=start_s, end_s=start_s + WINDOW_S)
        yield JudgedWindow(source="door", window=i, verdict=verdict)


def in_incident(start_s: float, end_s: float) -> bool:
    """Whether a window lies wholly over an incident."""
    return start_s % EVERY_S >= EVERY_S - LASTS_S and end_s // EVERY_S == start_s // EVERY_S


def events_of(rules: HysteresisSettings, windows: Iterator[JudgedWindow]) -> list[Event]:
    """The closed events of a run."""
    tracker = HysteresisRule(rules, source="door")
    changes = [change for judged in windows for change in tracker.push(judged)] + tracker.finish("end")
    return [change.event for change in changes if change.kind == "closed"]


def measure(k: int, n: int, *, hours: int, false_alarm: float, hit: float) -> Row:
    """One row of the table."""
    events = events_of(HysteresisSettings(k=k, n=n), verdicts(hours, false_alarm=false_alarm, hit=hit))
    onsets = [EVERY_S * (i + 1) - LASTS_S for i in range(int(hours * 3600 / EVERY_S))]
    found = [[e for e in events if e.onset_s < onset + LASTS_S and (e.end_s or 0.0) > onset] for onset in onsets]
    true = {event.id for group in found for event in group}
    late = [(group[0].announced_s or 0.0) - onset for group, onset in zip(found, onsets, strict=True) if group]
    return Row(
        k=k,
        n=n,
        false_alarm=false_alarm,
        hit=hit,
        false_an_hour=(len(events) - len(true)) / hours,
        missed=sum(not group for group in found) / len(onsets),
        split=sum(len(group) > 1 for group in found) / len(onsets),
        late_s=median(late) if late else float("nan"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=100)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = [measure(k, n, hours=asked.hours, false_alarm=f, hit=h) for f, h in ERRORS for k, n in RULES]
    print(
        "false alarms and hits a window | rule | false events an hour | missed | split in two | alarm after, s (median)"
    )
    for r in rows:
        print(
            f"{r.false_alarm:.0%} {r.hit:.0%} | {r.k} of {r.n} | {r.false_an_hour:.2f} | {r.missed:.1%} | "
            f"{r.split:.1%} | {r.late_s:.1f}"
        )
    ratios = {f"false_events_{r.k}_of_{r.n}_at_{r.false_alarm:g}": r.false_an_hour for r in rows}
    for name, value in ratios.items():
        print(f"ratio {name} {value:.3f}")
    if asked.json:
        asked.json.write_text(json.dumps(ratios), encoding="utf-8")


if __name__ == "__main__":
    main()
