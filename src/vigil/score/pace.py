"""How fast the server answered: latency of a request under this load, and requests a second."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vigil.score.journal import JournalEntry
from vigil.verdict import Cause

NEVER_ASKED = frozenset({Cause.UNREADABLE, Cause.CANCELLED, Cause.SKIPPED, Cause.DROPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Percentiles of latency, and requests a second of the time in which at least one was under way."""

    requests: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    requests_per_s: float | None = None


def measure_throughput(records: Iterable[JournalEntry]) -> Throughput:
    """The pace of the requests behind these records, also where a run was interrupted in between."""
    asked = [record for record in records if record.cause not in NEVER_ASKED]
    if not asked:
        return Throughput()
    p50_ms, p95_ms = np.percentile([record.latency_ms for record in asked], (50, 95))
    busy_s = busy_seconds([(record.asked_s, record.answered_s) for record in asked])
    return Throughput(
        requests=len(asked),
        p50_ms=round(float(p50_ms), 2),
        p95_ms=round(float(p95_ms), 2),
        requests_per_s=round(len(asked) / busy_s, 2) if busy_s > 0 else None,
    )


def busy_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """The length of the union of time spans."""
    total, covered_to = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, covered_to))
        covered_to = max(covered_to, end)
    return total
