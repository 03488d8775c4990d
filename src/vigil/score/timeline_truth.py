"""The ground truth of long videos: a CSV with the onset and end of each incident.

    video,onset_s,end_s
    long.mp4,28.36,30.36
    quiet.mp4,,

Times are seconds of the video. A video without incidents has one row without times, so that a missing video is not
mistaken for a quiet one. More columns (`label`, `clip`) may follow; a label `normal` marks a row as no incident,
and for a question with other labels than two it is the class of the incident. `vigil compose` writes such a file.
"""

import csv
import difflib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

from vigil.csv_text import csv_text
from vigil.errors import ConfigError
from vigil.file_names import readable
from vigil.questions import ALARM, NORMAL, Question

COLUMNS = ("video", "onset_s", "end_s")
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class TrueIncident:
    """One true incident, in seconds of its video; `line` is its line in the CSV, `label` its class ("": not known)."""

    onset_s: float
    end_s: float
    line: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The incidents of each named video, ordered by onset."""

    where: str
    spans: Mapping[str, tuple[TrueIncident, ...]]
    lines: Mapping[str, int]

    def match(self, videos: Sequence[Path]) -> dict[Path, tuple[TrueIncident, ...]]:
        """The incidents of each video; a name matches the file whose path ends in it (`long.mp4`, `day1/long.mp4`).

        Raises ConfigError if a video is not named, or a name matches several videos.
        """
        problems: list[str] = []
        matched: dict[Path, tuple[TrueIncident, ...]] = {}
        for video in videos:
            names = [name for name in self.spans if _means(name, video)]
            if names:
                matched[video] = self.spans[max(names, key=len)]
            else:
                problems.append(_not_named(video, self.spans))
        for name, line in self.lines.items():
            meant = [str(video) for video in videos if _means(name, video)]
            if len(meant) > 1:
                problems.append(f"line {line}: {name} means {' and '.join(meant)}; write more of the path")
        _refuse(self.where, problems)
        return matched

    def for_question(self, question: Question) -> "GroundTruth":
        """The same truth with the classes of a question, which may be named by their folders.

        Rows whose class does not alarm are no incidents; incidents of questions with two labels have no class. Raises
        ConfigError for labels that the question does not have.
        """
        problems: list[str] = []
        spans = {
            video: tuple(span for one in of_video if (span := _classed(one, question, problems)) is not None)
            for video, of_video in self.spans.items()
        }
        _refuse(self.where, problems)
        return replace(self, spans=spans)

    def left_out(self, videos: Sequence[Path]) -> list[str]:
        """The names that match none of the videos, each with its line."""
        return [
            f"{name} (line {line})"
            for name, line in self.lines.items()
            if not any(_means(name, video) for video in videos)
        ]


def _classed(span: TrueIncident, question: Question, problems: list[str]) -> TrueIncident | None:
    """The incident with its class; None if it is none, because its class does not alarm."""
    if question.has_two_labels or not span.label:
        return replace(span, label="")
    label = question.label_of(span.label)
    if label is None:
        names = ", ".join(each.name for each in question.labels if each.is_alarm)
        problems.append(f"line {span.line}: the label {span.label!r} is none of the question: {names}")
        return None
    return replace(span, label=label) if question.label(label).is_alarm else None


def _means(name: str, video: Path) -> bool:
    name_parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in (".", "/")]
    return bool(name_parts) and [readable(part) for part in video.absolute().parts[-len(name_parts) :]] == name_parts


def _not_named(video: Path, names: Iterable[str]) -> str:
    name = readable(video.name)
    near = difflib.get_close_matches(name, list(names), n=1)
    hint = f" (did you mean it by {near[0]!r}?)" if near else ""
    return f"no row names {name}{hint}; where nothing happens in it, add the row `{name},,`"


def read_ground_truth(path: Path) -> GroundTruth:
    """The truth in a CSV file; raises ConfigError that lists its errors line by line."""
    rows = _rows(path)
    problems: list[str] = []
    spans: dict[str, list[TrueIncident]] = {}
    lines: dict[str, int] = {}
    for line, row in rows:
        video = (row["video"] or "").strip()
        if not video:
            problems.append(f"line {line}: the column video is empty")
            continue
        lines.setdefault(video, line)
        video_spans = spans.setdefault(video, [])
        try:
            video_spans += _span(row, line)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    for video_spans in spans.values():
        video_spans.sort(key=lambda span: span.onset_s)
        problems += _overlaps(video_spans)
    if not rows:
        problems.append("holds no rows; name each video, with the times of its incidents")
    _refuse(str(path), problems)
    return GroundTruth(str(path), {video: tuple(video_spans) for video, video_spans in spans.items()}, lines)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = csv_text(path.read_bytes())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeError as error:
        raise ConfigError(str(path), ["is not UTF-8 text; save it as CSV in UTF-8"]) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ConfigError(str(path), [f"line {reader.line_num}: {error}"]) from error
    rows = [(line, row) for line, row in rows if not row[0].lstrip().startswith("#")]
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    _require_header(path, header)
    return [(line, dict(zip(header, [*row, *[""] * len(header)], strict=False))) for line, row in rows[1:]]


def _require_header(path: Path, header: Sequence[str]) -> None:
    missing = [column for column in COLUMNS if column not in header]
    if not missing:
        return
    first = header[0] if len(header) == 1 else ""
    if ";" in first or "\t" in first:
        raise ConfigError(str(path), ["line 1: its columns are not separated by commas; save it with commas"])
    raise ConfigError(
        str(path), [f"line 1: must be the header {','.join(COLUMNS)}; there is no column {', '.join(missing)}"]
    )


def _span(row: Mapping[str, str], line: int) -> list[TrueIncident]:
    """The incident of a row; None for normal footage or a quiet video."""
    onset, end = row["onset_s"].strip(), row["end_s"].strip()
    if not onset and not end:
        return []
    onset_s, end_s = _seconds("onset_s", onset), _seconds("end_s", end)
    if end_s <= onset_s:
        raise ValueError(f"it ends at {end_s:g} s, which is not after its onset at {onset_s:g} s")
    label = row.get("label", "").strip()
    if label.lower() == NORMAL:
        return []
    return [TrueIncident(onset_s, end_s, line, "" if label.lower() == ALARM else label)]


def _seconds(column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{column} must be seconds, such as 61.5, not {text!r}") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{column} must be seconds from 0 on, not {text}")
    return value


def _overlaps(spans: Sequence[TrueIncident]) -> list[str]:
    return [
        f"line {later.line}: begins at {later.onset_s:g} s, before the incident of line {earlier.line} ends; "
        "join them into one row, or correct the times"
        for earlier, later in pairwise(spans)
        if later.onset_s < earlier.end_s
    ]


def _refuse(where: str, problems: Sequence[str]) -> None:
    if not problems:
        return
    more = len(problems) - MOST_PROBLEMS
    raise ConfigError(where, [*problems[:MOST_PROBLEMS], *([f"and {more} more like these"] if more > 0 else [])])
