"""Extracts the windows of clips to disk, in parallel processes.

A clip is extracted again only if its bytes, the sampling, the reader or the short-clip policy have changed. An
unreadable clip, or one that crashes its decoder, does not affect the others.
"""

import contextlib
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.synchronize import Event
from pathlib import Path

from vigil.dataset.clips import LabelledClip
from vigil.dataset.frame_files import (
    HDR,
    INTERLACED,
    FrameWriter,
    ShortClipPolicy,
    StoredClip,
    WindowKind,
    crop_window,
    is_complete,
    read_stored,
    stretched_fps,
)
from vigil.dataset.ownership import refuse_foreign_frames
from vigil.dataset.workers import ProgressCallback, init_worker, no_progress
from vigil.errors import JobError, SourceError, VigilError
from vigil.files import atomic_folder, os_errors_as
from vigil.frames import Frame, FrameSampling
from vigil.manifest import MANIFEST_NAME
from vigil.sources.container import frame_rate, open_container, require_video_file
from vigil.sources.deinterlace import is_interlaced
from vigil.sources.tone_mapping import is_high_range
from vigil.sources.video_file import ReaderName, VideoFile, open_video, read_frames
from vigil.sources.video_tracks import main_video_stream
from vigil.windows import Window, iter_windows

CUTTER_VERSION = 2
"""Increased whenever a new version extracts other frames from the same video and settings."""


@dataclass(slots=True)
class Remarks:
    """The problems of a video and other notes about it, in order and without duplicates."""

    problems: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, video: VideoFile) -> None:
        """Adds the problems and notes of a video that was read."""
        self.problems.update(dict.fromkeys(video.problems))
        self.notes.update(dict.fromkeys(video.notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSettings:
    """All settings that determine which frames are extracted from a video."""

    sampling: FrameSampling
    short: ShortClipPolicy = "as-is"
    reader: ReaderName = "pyav"

    def digest(self, video_digest: str) -> str:
        """Returns a digest of these settings and the video's bytes; it identifies the extracted frames."""
        settings = asdict(self) | {"sampling": self.sampling.as_json()}
        key = json.dumps([CUTTER_VERSION, video_digest, settings], sort_keys=True)
        return hashlib.sha256(key.encode()).hexdigest()


def frames_folder(out: Path, clip: LabelledClip) -> Path:
    """Returns the folder of a clip's frames."""
    return out / "frames" / clip.label / clip.slug


def never_stop() -> bool:
    """The default: the clip is extracted to its end."""
    return False


def extract_clip(
    clip: LabelledClip, out: Path, settings: ExtractSettings, *, stopped: Callable[[], bool] = never_stop
) -> tuple[StoredClip, bool]:
    """Returns the clip's windows on disk, and whether they were extracted just now.

    Raises SourceError if no frame can be decoded or `stopped` returns True midway, DatasetError if the frames cannot
    be written.
    """
    require_video_file(clip.path)
    video_digest = file_digest(clip.path)
    digest = settings.digest(video_digest)
    folder = frames_folder(out, clip)
    stored = read_stored(folder)
    if stored is not None and stored.digest == digest and is_complete(folder, stored):
        return stored, False
    remarks = Remarks()
    refuse_foreign_frames(folder)
    # Not synced: a power failure may cost frames, which the next build finds missing and extracts again.
    with os_errors_as(folder), atomic_folder(folder, sync=False) as partial:
        writer = FrameWriter(partial)
        for kind, window in clip_windows(clip.path, settings, remarks):
            if stopped():
                raise SourceError(f"{clip.path} was not finished")
            writer.put(window, kind)
        format_, traits = video_format(clip.path)
        if folder.exists():
            # A finished dataset may use these frames: from here until the build is complete it counts as unfinished.
            (out / MANIFEST_NAME).unlink(missing_ok=True)
        stored = writer.finish(
            digest=digest,
            video_digest=video_digest,
            problems=list(remarks.problems),
            notes=list(remarks.notes),
            format_=format_,
            traits=traits,
        )
    return stored, True


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes; raises SourceError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def video_format(path: Path) -> tuple[str, tuple[str, ...]]:
    """Returns a video's size and rate, such as `1280x720@29.97`, and its traits; empty if PyAV cannot open it."""
    try:
        with open_container(path) as container:
            stream = main_video_stream(container, path)
            candidates = ((HDR, is_high_range(stream.codec_context)), (INTERLACED, is_interlaced(stream.codec_context)))
            traits = tuple(trait for trait, is_so in candidates if is_so)
            return f"{stream.width}x{stream.height}@{frame_rate(stream):.2f}", traits
    except SourceError:
        return "", ()


def clip_windows(path: Path, settings: ExtractSettings, remarks: Remarks) -> Iterator[tuple[WindowKind, Window]]:
    """Yields the windows of a clip, the same as of a live source, and those added by the short-clip policy."""
    sampling = settings.sampling
    stretchable: Window | None = None
    for window in iter_windows(_frames(path, sampling, settings.reader, remarks), sampling):
        yield "window", window
        stretchable = window if window.index == 0 else None
        shorter = crop_window(window, sampling) if settings.short in ("crop", "both") else None
        if shorter is not None:
            yield "crop", shorter
    fps = stretched_fps(stretchable, sampling) if stretchable and settings.short in ("stretch", "both") else None
    if fps is not None:
        denser = replace(sampling, fps=fps)
        windows = iter_windows(_frames(path, denser, settings.reader, remarks), denser)
        yield "stretch", next(windows)


def _frames(path: Path, sampling: FrameSampling, reader: ReaderName, remarks: Remarks) -> Iterator[Frame]:
    if reader != "pyav":
        yield from read_frames(path, sampling, reader=reader)
        return
    with open_video(path, sampling) as video:
        yield from video.frames()
        remarks.add(video)


CLIPS_PER_PROCESS = 4
"""The fewest clips per process, since starting one takes about a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractResult:
    """The result for one clip: its frames, or why there are none; `fresh` if they were extracted just now."""

    name: str
    stored: StoredClip | None = None
    fresh: bool = False
    failure: str = ""


def extract_all(
    clips: Sequence[LabelledClip],
    out: Path,
    settings: ExtractSettings,
    *,
    jobs: int,
    progress: ProgressCallback = no_progress,
) -> list[ExtractResult]:
    """Extracts every clip with up to `jobs` processes; returns results in the order of `clips`.

    Raises DatasetError if frames cannot be written. If interrupted by Ctrl-C, it leaves only complete clips.
    """
    progress(0, len(clips), "")
    jobs = min(jobs, len(clips) // CLIPS_PER_PROCESS)
    results: dict[str, ExtractResult] = {}
    work = _in_processes(clips, out, settings, jobs) if jobs > 1 else (_cut(clip, out, settings) for clip in clips)
    # Closed explicitly: a generator left to the garbage collector would leave its processes running.
    with contextlib.closing(work):
        for result in work:
            results[result.name] = result
            progress(len(results), len(clips), result.name)
    return [results[clip.name] for clip in clips]


def _cut(clip: LabelledClip, out: Path, settings: ExtractSettings) -> ExtractResult:
    try:
        stored, fresh = extract_clip(clip, out, settings, stopped=_stopped)
    except SourceError as error:
        return ExtractResult(name=clip.name, failure=str(error))
    return ExtractResult(name=clip.name, stored=stored, fresh=fresh)


def _in_processes(
    clips: Sequence[LabelledClip], out: Path, settings: ExtractSettings, jobs: int
) -> Generator[ExtractResult]:
    done: set[str] = set()
    with contextlib.suppress(BrokenProcessPool), contextlib.closing(_pooled(clips, out, settings, jobs)) as pooled:
        for result in pooled:
            done.add(result.name)
            yield result
    # A clip has crashed its process and broken the pool: process the rest one by one, to find out which.
    for clip in (clip for clip in clips if clip.name not in done):
        try:
            yield from _pooled([clip], out, settings, 1)
        except BrokenProcessPool:
            yield ExtractResult(name=clip.name, failure=f"{clip.path} kills the video decoder; take it out")


def _pooled(clips: Sequence[LabelledClip], out: Path, settings: ExtractSettings, jobs: int) -> Generator[ExtractResult]:
    # Spawned, not forked: decoder threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop, started = context.Event(), context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(stop, started)) as pool:
        futures: list[Future[ExtractResult]] = [pool.submit(_cut, clip, out, settings) for clip in clips]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            if started.is_set():
                raise
            raise JobError("no process could be started to cut clips in; --jobs 1 works without") from error
        except (KeyboardInterrupt, GeneratorExit, VigilError):
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_stop: Event | None = None


def _begin(stop: Event, started: Event) -> None:
    """Initialises a worker process; the parent sets `stop` to end its work early."""
    global _stop
    _stop = stop
    init_worker()
    started.set()


def _stopped() -> bool:
    return _stop is not None and _stop.is_set()
