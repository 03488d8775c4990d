"""Observers that write files: JSON lines of verdicts and events, and SRT subtitles.

A verdict's line is written once its description is complete, in order per source. `answers`, where other questions than
the task's own were asked, has the probability of each label of each of them, or the `cause` why it is unknown.

An event has a line when it opens, when its tier rises and when it ends: `event` is its id, `end_s` is null while it is
open, `sequence` is the number of the change in the store. `late` is true, and otherwise absent, if an earlier watcher
was killed before it published the change.

A line of the semantic log has `observation`, its id.

If lines cannot be written, as on a full disk, they are buffered in memory and written in order once there is room.
"""

import errno
import json
import logging
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from vigil.errors import StoreError
from vigil.events import Event, EventChange, TierThresholds
from vigil.observation import Observation, observation_record
from vigil.report.subtitles import SrtWriter
from vigil.store.event_record import event_record, rounded
from vigil.verdict import JudgedWindow
from vigil.watch.observers import WatchObserver

log = logging.getLogger(__name__)


EVENT_KEYS = (
    "event", "source", "camera_id", "place", "onset_s", "end_s", "peak", "tier", "announced_s", "rule", "label",
)  # fmt: skip
"""The fields of an event's line; `camera_id`, `place` and `label` are left out if there is none."""

OPTIONAL_KEYS = frozenset({"camera_id", "place", "label"})

MOST_WAITING = 20_000
"""Lines buffered while they cannot be written, about three hours of one camera; beyond that the oldest are lost."""


LineKey: TypeAlias = tuple[str, int | None]
"""Identifies a line about an event: the event's id and the sequence number of the change."""

TAIL_BYTES = 1_000_000


def written_in(path: Path) -> set[LineKey]:
    """The keys of the event lines in the last megabyte of a file; empty if it is not a regular file or cannot be read.

    Pipes and devices are never read: reading might block, or never end.
    """
    if not path.is_file():
        return set()
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = file.read(TAIL_BYTES).splitlines()
    except OSError:
        return set()
    return {key for line in lines if (key := _key(line)) is not None}


def _key(line: bytes) -> LineKey | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        return None
    return record["event"], record.get("sequence")


class JsonLinesWriter(WatchObserver):
    """Writes each line at once to an unbuffered file; `trouble` is why it cannot now, or empty.

    A late change whose line is in `written_before` is not written again: a watcher was killed right after writing it.
    """

    def __init__(self, file: BinaryIO, tiers: TierThresholds, *, written_before: Collection[LineKey] = ()) -> None:
        self.lost = 0
        self.trouble = ""
        self._file = file
        self._tiers = tiers
        self._waiting: deque[bytes] = deque()
        self._is_torn = False
        self._written_before = frozenset(written_before)

    @property
    def is_behind(self) -> bool:
        return bool(self._waiting)

    def on_result(self, judged: JudgedWindow) -> None:
        verdict = judged.verdict
        tier = None if verdict.p_alarm is None or verdict.p_alarm < self._tiers.low else self._tiers.of(verdict.p_alarm)
        self._write(
            source=judged.source,
            **({"camera_id": judged.camera_id} if judged.camera_id else {}),
            start_s=rounded(judged.start_s),
            end_s=rounded(judged.end_s),
            outcome=verdict.outcome,
            cause=verdict.cause,
            p_alarm=verdict.p_alarm,
            tier=tier,
            latency_ms=round(verdict.latency_ms, 1),
            text=verdict.text,
            **({"probabilities": verdict.probabilities} if verdict.probabilities else {}),
            **_other_answers(judged),
        )

    def on_observation(self, observation: Observation) -> None:
        times = {"start_s": rounded(observation.start_s), "end_s": rounded(observation.end_s)}
        record = observation_record(observation) | times
        self._write(**{key: value for key, value in record.items() if value or key not in ("camera_id", "place")})

    def on_change(self, change: EventChange) -> None:
        if change.kind == "grew" or (change.late and (change.event.id, change.sequence) in self._written_before):
            return
        record = event_record(change.event)
        line = {key: record.get(key) for key in EVENT_KEYS if record.get(key) or key not in OPTIONAL_KEYS}
        if change.sequence is not None:
            line["sequence"] = change.sequence
        self._write(**line, **({"late": True} if change.late else {}))

    def on_close(self) -> None:
        """Writes buffered lines, or counts them as lost."""
        self._flush()
        self.lost += len(self._waiting)
        self._waiting.clear()
        if self.lost:
            log.error("%d JSON lines could not be written and are lost", self.lost)

    def _write(self, **line: Any) -> None:
        # An unpaired surrogate in the model's text becomes an escape, which JSON also allows.
        self._waiting.append((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
        self._flush()
        if len(self._waiting) > MOST_WAITING:
            # The rest of a partly written line must be written next, so it is not dropped.
            del self._waiting[1 if self._is_torn else 0]
            self.lost += 1

    def _flush(self) -> None:
        """Writes buffered lines until a write fails; never raises OSError."""
        try:
            while self._waiting:
                self._write_next()
        except OSError as error:
            if not self.trouble:
                log.error("JSON lines cannot be written: %s; watching goes on, they wait in memory", error.strerror)
            self.trouble = error.strerror or str(error)
            return
        if self.trouble:
            log.warning("JSON lines can be written again")
        self.trouble = ""

    def _write_next(self) -> None:
        line = self._waiting[0]
        written = self._file.write(line)
        if not written:
            raise BlockingIOError(errno.EAGAIN, "nothing was written")
        self._is_torn = written < len(line)
        if self._is_torn:
            self._waiting[0] = line[written:]
        else:
            self._waiting.popleft()


def _other_answers(judged: JudgedWindow) -> dict[str, Any]:
    """The answers to other questions than the task's own, which stands first; nothing where there are none."""
    others = list(judged.answers.values())[1:]
    told = {each.question: {"cause": each.cause} if each.cause else dict(each.probabilities) for each in others}
    return {"answers": told} if told else {}


RECENT_EVENTS = 4


class SubtitleFile(WatchObserver):
    """Writes one cue per window; raises StoreError if the file cannot be created. `lost` counts unwritten cues."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._writer = SrtWriter(path)
        self._events: deque[Event] = deque(maxlen=RECENT_EVENTS)
        self._failed = False

    def on_change(self, change: EventChange) -> None:
        if change.late:
            # Its seconds count from the start of an earlier session.
            return
        others = [event for event in self._events if event.id != change.event.id]
        self._events = deque([*others, change.event], maxlen=RECENT_EVENTS)

    def on_result(self, judged: JudgedWindow) -> None:
        try:
            self._writer.add(judged, self._event_of(judged))
        except StoreError as error:
            if not self._failed:
                log.error("%s; watching goes on", error)
            self._failed = True
            self.lost += 1
            return
        self._failed = False

    def on_close(self) -> None:
        self._writer.close()

    def _event_of(self, judged: JudgedWindow) -> Event | None:
        inside = (e for e in self._events if any(evidence.window == judged.window for evidence in e.windows))
        return next(inside, None)
