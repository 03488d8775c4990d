"""Writes the verdicts of a score as they arrive, one JSON line each, so that a killed run can be resumed.

A journal (`vigil.journal_file`) belongs to one model, address and contract. When every window has been asked, it is
complete; the next run of the same command then starts over, because the model behind a name may have changed.

`measure_throughput` computes the server's latency and requests per second from the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vigil.journal_file import COMPLETE, JournalFile, journal_lines
from vigil.verdict import Cause, Outcome, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One window's verdict, with what is needed to score it; `asked_s` and `answered_s` are `time.time()`.

    `probabilities` and `raw_probabilities` are those of the labels, if there are others than alarm and normal.
    """

    digest: str
    clip: str
    window: int
    outcome: Outcome
    cause: Cause | None = None
    p_alarm: float | None = None
    p_raw: float | None = None
    p_outside: float | None = None
    start_s: float = 0.0
    end_s: float = 0.0
    latency_ms: float = 0.0
    asked_s: float = 0.0
    answered_s: float = 0.0
    detail: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    raw_probabilities: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, verdict: Verdict, *, digest: str, clip: str, window: int, **times: float) -> "JournalEntry":
        """The entry for a verdict."""
        return cls(
            digest=digest,
            clip=clip,
            window=window,
            outcome=verdict.outcome,
            cause=verdict.cause,
            p_alarm=verdict.p_alarm,
            p_raw=verdict.p_raw,
            p_outside=verdict.p_outside,
            start_s=verdict.start_s,
            end_s=verdict.end_s,
            latency_ms=verdict.latency_ms,
            detail=verdict.detail,
            probabilities=verdict.probabilities,
            raw_probabilities=verdict.raw_probabilities,
            **times,
        )

    def to_json(self) -> dict[str, Any]:
        """The entry as plain data, without probabilities of labels if it has none."""
        return {key: value for key, value in asdict(self).items() if value or not key.endswith("probabilities")}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "JournalEntry":
        """The entry that `to_json` made; raises TypeError or ValueError if it is not one."""
        cause = data.get("cause")
        return cls(**{**data, "outcome": Outcome(data["outcome"]), "cause": Cause(cause) if cause else None})

    def uncalibrated(self) -> "JournalEntry":
        """The same verdict with the uncalibrated probabilities."""
        return replace(
            self,
            p_alarm=self.p_raw if self.p_raw is not None else self.p_alarm,
            probabilities=self.raw_probabilities,
        )


class Journal:
    """An append-only file of entries; `completed` holds those of an interrupted run, unknown ones left out."""

    def __init__(self, path: Path, *, header: dict[str, str], fresh: bool = False) -> None:
        self.path = path
        self._file = JournalFile(path, header=header, what="the verdicts")
        lines = [] if fresh else self._file.interrupted()
        records = [record for line in lines if (record := _record(line)) is not None]
        # Unknown ones are asked again.
        self.completed = {each.digest: each for each in records if each.outcome is not Outcome.UNKNOWN}

    def __enter__(self) -> "Journal":
        self._file.begin(each.to_json() for each in self.completed.values())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, record: JournalEntry) -> None:
        """Appends an entry and flushes it to the operating system.

        Raises JobError if it cannot be written.
        """
        self._file.append(record.to_json())

    def close_run(self) -> None:
        """Marks the run as complete, so that the next one starts over."""
        self._file.append(COMPLETE)


def _record(line: dict[str, Any]) -> JournalEntry | None:
    try:
        return JournalEntry.from_json(line)
    except (KeyError, TypeError, ValueError):
        return None


def read_journal(path: Path) -> list[JournalEntry]:
    """Every entry of a journal, complete or not; the last one of each window counts."""
    records = [record for line in journal_lines(path) if (record := _record(line)) is not None]
    return list({record.digest: record for record in records}.values())


NEVER_ASKED = frozenset({Cause.UNREADABLE, Cause.CANCELLED, Cause.SKIPPED, Cause.DROPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Percentiles of latency, and requests per second of the time in which at least one was in flight."""

    requests: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    requests_per_s: float | None = None


def measure_throughput(records: Iterable[JournalEntry]) -> Throughput:
    """The throughput of the requests behind these entries, even if the run was interrupted in between."""
    requests = [record for record in records if record.cause not in NEVER_ASKED]
    if not requests:
        return Throughput()
    p50_ms, p95_ms = np.percentile([record.latency_ms for record in requests], (50, 95))
    busy_s = busy_seconds([(record.asked_s, record.answered_s) for record in requests])
    return Throughput(
        requests=len(requests),
        p50_ms=round(float(p50_ms), 2),
        p95_ms=round(float(p95_ms), 2),
        requests_per_s=round(len(requests) / busy_s, 2) if busy_s > 0 else None,
    )


def busy_seconds(spans: Sequence[tuple[float, float]]) -> float:
    """The length of the union of time spans."""
    total, covered_to = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, covered_to))
        covered_to = max(covered_to, end)
    return total
