"""One JSON line for every verdict and for every event, for whoever reads along.

A verdict's line comes when its words are there, in the order of its source. An event has a line when it
opens, when its tier rises and when it ends; `end_s` is null while it goes on, `event` its id.
"""

import json
import logging
from typing import IO, Any

from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.events.rules import Tiers
from vigil.watch.observer import Observer

log = logging.getLogger(__name__)


class JsonLines(Observer):
    """Writes to an open text file, and flushes after every line."""

    def __init__(self, file: IO[str], tiers: Tiers) -> None:
        self._file = file
        self._tiers = tiers
        self._trouble = False

    def told(self, judged: Judged) -> None:
        verdict = judged.verdict
        tier = None if verdict.p_alarm is None or verdict.p_alarm < self._tiers.low else self._tiers.of(verdict.p_alarm)
        self._write(
            source=judged.source,
            start_s=_rounded(judged.start_s),
            end_s=_rounded(judged.end_s),
            outcome=verdict.outcome,
            cause=verdict.cause,
            p_alarm=verdict.p_alarm,
            tier=tier,
            latency_ms=round(verdict.latency_ms, 1),
            text=verdict.text,
        )

    def changed(self, change: Change) -> None:
        if change.kind == "grew":
            return
        event = change.event
        self._write(
            event=event.id,
            source=event.source,
            onset_s=_rounded(event.onset_s),
            end_s=_rounded(event.end_s),
            peak=event.peak,
            tier=event.tier,
            announced_s=_rounded(event.announced_s),
        )

    def _write(self, **line: Any) -> None:
        """Writes a line; while the disk is full, lines wait in the file's buffer, and the watch goes on."""
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            if not self._trouble:
                log.error("JSON lines cannot be written: %s; watching goes on", error.strerror)
            self._trouble = True
            return
        self._trouble = False


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
