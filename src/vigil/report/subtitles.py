"""Writes verdicts and events as SRT subtitles, which any player shows.

There is one cue per window, from its start until the next one's; `SrtWriter` keeps the file valid during a watch.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from vigil.errors import StoreError
from vigil.events import Event, Tier
from vigil.verdict import JudgedWindow, Outcome

LONGEST_GAP_S = 1.0
"""A cue waits this long past its last frame for the next one; after that no verdict applies."""

BAR_CELLS = 10
BARS = {Tier.LOW: "▮▯▯", Tier.MEDIUM: "▮▮▯", Tier.HIGH: "▮▮▮"}


@dataclass(frozen=True, slots=True)
class SubtitleCue:
    """One subtitle."""

    start_s: float
    end_s: float
    text: str

    def format(self, number: int) -> str:
        """The cue in SRT, including the empty line that ends it."""
        return f"{number}\n{_clock(self.start_s)} --> {_clock(self.end_s)}\n{self.text}\n\n"


def format_srt(judged: Sequence[JudgedWindow], events: Sequence[Event]) -> str:
    """The subtitles of one source's windows, which are in order; empty if there are none."""
    cues: list[SubtitleCue] = []
    for each in judged:
        cue = _cue(each, next((event for event in events if _covers(event, each)), None))
        while cues and cues[-1].start_s >= cue.start_s:
            cues.pop()
        if cues:
            cues[-1] = _until(cues[-1], cue.start_s)
        cues.append(cue)
    return "".join(cue.format(number) for number, cue in enumerate(cues, start=1))


class SrtWriter:
    """Writes subtitles during a watch: after every `add` the file is complete.

    The cue of the newest window ends with it, until the next one determines its real end. Raises StoreError if the file
    cannot be written; what it holds stays valid.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = 0
        self._last: SubtitleCue | None = None
        self._last_at = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(path, "w")
        except OSError as error:
            raise StoreError(f"subtitles cannot be written to {path}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, judged: JudgedWindow, event: Event | None = None) -> None:
        """Adds the next window, with its event."""
        cue, before = _cue(judged, event), self._last
        if before is None or cue.start_s <= before.start_s:
            number, ended = max(1, self._number), b""
        else:
            # The times have a fixed width, so the rewritten cue has the same length.
            number, ended = self._number + 1, _until(before, cue.start_s).format(self._number).encode()
        self._write(ended + cue.format(number).encode())
        self._last, self._number, self._last_at = cue, number, self._last_at + len(ended)

    def close(self) -> None:
        """Closes the file; its content is complete."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        """Replaces the end of the file, from its last cue on; raises StoreError and leaves the file unchanged."""
        try:
            self._end_in(data)
        except OSError as error:
            self._take_back()
            raise StoreError(f"subtitles cannot be written to {self.path}: {error.strerror}") from error

    def _end_in(self, data: bytes) -> None:
        self._file.seek(self._last_at)
        rest = memoryview(data)
        while rest:
            # A disk that fills up accepts a part of the data; only the next write fails.
            rest = rest[self._file.write(rest) :]
        self._file.truncate(self._last_at + len(data))

    def _take_back(self) -> None:
        last = b"" if self._last is None else self._last.format(self._number).encode()
        with suppress(OSError):
            self._file.truncate(self._last_at + len(last))
            self._end_in(last)


def _cue(judged: JudgedWindow, event: Event | None) -> SubtitleCue:
    lines = [_verdict_line(judged)]
    if event is not None:
        lines.append(_event_line(event))
    return SubtitleCue(judged.start_s, max(judged.end_s, judged.start_s + 0.001), "\n".join(lines))


def _until(cue: SubtitleCue, next_start_s: float) -> SubtitleCue:
    return replace(cue, end_s=min(next_start_s, cue.end_s + LONGEST_GAP_S))


def _covers(event: Event, judged: JudgedWindow) -> bool:
    return event.onset_s <= judged.start_s and (event.end_s is None or judged.start_s < event.end_s)


def _verdict_line(judged: JudgedWindow) -> str:
    verdict = judged.verdict
    if verdict.cause is not None:
        return f"unknown: {verdict.cause.value}"
    word = "ALARM" if verdict.outcome is Outcome.ALARM else "normal"
    if verdict.p_alarm is None:
        return word
    filled = round(verdict.p_alarm * BAR_CELLS)
    return f"{word} {verdict.p_alarm:.2f} {'█' * filled}{'░' * (BAR_CELLS - filled)}"


def _event_line(event: Event) -> str:
    words = f": {one_line(event.text)}" if event.text else ""
    return f"{BARS[event.tier]} {event.tier.value} event since {_clock(event.onset_s)[:8]}{words}"


def one_line(text: str) -> str:
    """The description without anything that could end or format the cue."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(whole.split()).replace("<", "‹").replace(">", "›")


def _clock(seconds: float) -> str:
    millis = max(0, round(seconds * 1000))
    hours, rest = divmod(millis, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d},{rest % 1000:03d}"
