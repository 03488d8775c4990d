"""What an analysis leaves to take along: JSON lines, subtitles, and a video with what was said drawn into it."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from vigil.analysis.view import View
from vigil.errors import StoreError
from vigil.events.change import Change
from vigil.events.judged import Judged
from vigil.events.rules import Tiers
from vigil.report.film import Progress, annotate_file
from vigil.report.srt import srt
from vigil.sources.fullrate import pictures, shape_of
from vigil.sources.movie import Movie
from vigil.sources.picture import within
from vigil.watch.jsonl import JsonLines

PLAYABLE_PX = 854


def write_jsonl(view: View, path: Path, *, tiers: Tiers) -> None:
    """A line a window in order, then a line an event, as `vigil watch --jsonl` writes them; raises StoreError."""
    try:
        with path.open("wb", buffering=0) as file:
            lines = JsonLines(file, tiers)
            for judged in view.judged:
                lines.on_result(judged)
            for event in view.events:
                lines.on_change(Change("closed", event))
            lines.on_close()
    except OSError as error:
        raise _not_written(path, error) from error
    if lines.lost:
        raise StoreError(f"{path.name} cannot be written: {lines.trouble}")


def write_srt(view: View, path: Path) -> None:
    """Subtitles for any player; raises StoreError."""
    try:
        path.write_text(srt(view.judged, view.events), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise _not_written(path, error) from error


def write_film(
    view: View,
    video: Path,
    path: Path,
    *,
    tiers: Tiers,
    title: str,
    progress: Progress = lambda second, length: None,
    stop: threading.Event | None = None,
) -> None:
    """The video with verdicts, probabilities and events drawn into it; whole when stopped. Raises SourceError."""
    annotate_file(video, view.judged, view.events, path, tiers=tiers, title=title, progress=progress, stop=stop)


def write_playable(video: Path, path: Path, *, stop: threading.Event) -> None:
    """The video as every browser plays it, small; cut off when stopped. Raises SourceError."""
    shape = shape_of(video)
    movie: Movie | None = None
    with ExitStack() as stack:
        for picture, time_s in pictures(video):
            if movie is None:
                size_wh = within(picture.shape[1], picture.shape[0], longest_px=PLAYABLE_PX)
                movie = stack.enter_context(Movie(path, size_wh=size_wh, fps=shape.fps, crf=28))
            movie.add(picture, time_s)
            if stop.is_set():
                return


def covered_s(judged: Sequence[Judged]) -> float:
    """The last second that any window covers."""
    return max((each.end_s for each in judged), default=0.0)


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path.name} cannot be written: {error.strerror or error}")
