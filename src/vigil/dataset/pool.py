"""Cuts many clips at once, a process each; an unreadable clip, or one that kills its decoder, harms no other."""

import contextlib
import multiprocessing
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from vigil.dataset.clips import LabelledClip
from vigil.dataset.cutting import ExtractSettings, extract_clip
from vigil.dataset.stored import StoredClip
from vigil.dataset.worker import ProgressCallback, init_worker, no_progress
from vigil.errors import JobError, SourceError, VigilError

CLIPS_PER_PROCESS = 4
"""A process takes about a second to start, so it must have a few clips to work on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractResult:
    """What became of one clip: its frames, or why there are none; `fresh` when they were cut just now."""

    name: str
    stored: StoredClip | None = None
    fresh: bool = False
    failure: str = ""


def extract_all(
    clips: Sequence[LabelledClip],
    out: Path,
    recipe: ExtractSettings,
    *,
    jobs: int,
    progress: ProgressCallback = no_progress,
) -> list[ExtractResult]:
    """Cuts every clip, in the order of `clips`.

    Raises DatasetError when frames cannot be written. Stopped by Ctrl-C, it leaves whole clips only.
    """
    progress(0, len(clips), "")
    jobs = min(jobs, len(clips) // CLIPS_PER_PROCESS)
    results: dict[str, ExtractResult] = {}
    work = _in_processes(clips, out, recipe, jobs) if jobs > 1 else (_cut(clip, out, recipe) for clip in clips)
    # Closed here and now: a generator left to the garbage collector would let its processes run on.
    with contextlib.closing(work):
        for result in work:
            results[result.name] = result
            progress(len(results), len(clips), result.name)
    return [results[clip.name] for clip in clips]


def _cut(clip: LabelledClip, out: Path, recipe: ExtractSettings) -> ExtractResult:
    try:
        stored, fresh = extract_clip(clip, out, recipe, stopped=_stopped)
    except SourceError as error:
        return ExtractResult(name=clip.name, failure=str(error))
    return ExtractResult(name=clip.name, stored=stored, fresh=fresh)


def _in_processes(
    clips: Sequence[LabelledClip], out: Path, recipe: ExtractSettings, jobs: int
) -> Generator[ExtractResult]:
    done: set[str] = set()
    with contextlib.suppress(BrokenProcessPool), contextlib.closing(_pooled(clips, out, recipe, jobs)) as pooled:
        for result in pooled:
            done.add(result.name)
            yield result
    # Some clip has killed its process, and with it the pool: the rest go one by one, to find out which.
    for clip in (clip for clip in clips if clip.name not in done):
        try:
            yield from _pooled([clip], out, recipe, 1)
        except BrokenProcessPool:
            yield ExtractResult(name=clip.name, failure=f"{clip.path} kills the video decoder; take it out")


def _pooled(clips: Sequence[LabelledClip], out: Path, recipe: ExtractSettings, jobs: int) -> Generator[ExtractResult]:
    # Spawned, not forked: the decoders' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop, started = context.Event(), context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(stop, started)) as pool:
        futures: list[Future[ExtractResult]] = [pool.submit(_cut, clip, out, recipe) for clip in clips]
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
    """A worker's start: the parent tells it through the event that the work is to end."""
    global _stop
    _stop = stop
    init_worker()
    started.set()


def _stopped() -> bool:
    return _stop is not None and _stop.is_set()
