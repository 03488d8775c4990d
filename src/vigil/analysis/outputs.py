"""Writes the results of an analysis for download: JSON lines, subtitles, and annotated video."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from vigil.analysis.analysis import AnalysisView
from vigil.errors import StoreError
from vigil.events import EventChange, TierThresholds
from vigil.report.annotated_video import VideoProgress, annotate_video
from vigil.report.subtitles import format_srt
from vigil.sources.frame_converter import fit_within
from vigil.sources.video_info import full_size_frames, video_info
from vigil.sources.video_writer import VideoWriter
from vigil.verdict import JudgedWindow
from vigil.watch.file_outputs import JsonLinesWriter

PLAYABLE_PX = 854


def write_jsonl(view: AnalysisView, path: Path, *, tiers: TierThresholds) -> None:
    """One line per window in order, then one per event, as `vigil watch --jsonl` writes them; raises StoreError."""
    try:
        with path.open("wb", buffering=0) as file:
            lines = JsonLinesWriter(file, tiers)
            for judged in view.judged:
                lines.on_result(judged)
            for event in view.events:
                lines.on_change(EventChange("closed", event))
            lines.on_close()
    except OSError as error:
        raise _not_written(path, error) from error
    if lines.lost:
        raise StoreError(f"{path.name} cannot be written: {lines.trouble}")


def write_srt(view: AnalysisView, path: Path) -> None:
    """Writes subtitles; raises StoreError."""
    try:
        path.write_text(format_srt(view.judged, view.events), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise _not_written(path, error) from error


def write_annotated_video(
    view: AnalysisView,
    video: Path,
    path: Path,
    *,
    tiers: TierThresholds,
    title: str,
    progress: VideoProgress = lambda second, length: None,
    stop: threading.Event | None = None,
) -> None:
    """Writes the video with verdicts, probabilities and events drawn in; complete when stopped. Raises SourceError."""
    annotate_video(video, view.judged, view.events, path, tiers=tiers, title=title, progress=progress, stop=stop)


def write_browser_copy(video: Path, path: Path, *, stop: threading.Event) -> bool:
    """Writes a small copy of the video that every browser plays; truncated when stopped. Raises SourceError.

    Returns False if there was no picture to write.
    """
    shape = video_info(video)
    movie: VideoWriter | None = None
    with ExitStack() as stack:
        for picture, time_s in full_size_frames(video):
            if movie is None:
                size_wh = fit_within(picture.shape[1], picture.shape[0], longest_px=PLAYABLE_PX)
                movie = stack.enter_context(VideoWriter(path, size_wh=size_wh, fps=shape.fps, crf=28))
            movie.add(picture, time_s)
            if stop.is_set():
                break
    return movie is not None


def analysed_until_s(judged: Sequence[JudgedWindow]) -> float:
    """The last second covered by any window."""
    return max((each.end_s for each in judged), default=0.0)


def _not_written(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path.name} cannot be written: {error.strerror or error}")
