"""Cuts many clips at once, a process each; an unreadable clip, or one that kills its decoder, harms no other."""

import contextlib
import multiprocessing
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

from vigil.dataset.clips import Clip
from vigil.dataset.cutting import Recipe, cut_clip
from vigil.dataset.stored import StoredClip
from vigil.dataset.worker import begin_worker
from vigil.errors import JobError, SourceError, VigilError

Progress: TypeAlias = Callable[[int, int, str], None]
"""Told after each piece of work: how many are done, of how many, and which one it was."""

CLIPS_PER_PROCESS = 4
"""A process takes about a second to start, so it must have a few clips to work on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutResult:
    """What became of one clip: its frames, or why there are none; `fresh` when they were cut just now."""

    name: str
    stored: StoredClip | None = None
    fresh: bool = False
    failure: str = ""


def silent(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""


def cut_all(
    clips: Sequence[Clip], out: Path, recipe: Recipe, *, jobs: int, progress: Progress = silent
) -> list[CutResult]:
    """Cuts every clip, in the order of `clips`.

    Raises DatasetError when frames cannot be written. Stopped by Ctrl-C, it leaves whole clips only.
    """
    progress(0, len(clips), "")
    jobs = min(jobs, len(clips) // CLIPS_PER_PROCESS)
    results: dict[str, CutResult] = {}
    work = _in_processes(clips, out, recipe, jobs) if jobs > 1 else (_cut(clip, out, recipe) for clip in clips)
    # Closed here and now: a generator left to the garbage collector would let its processes run on.
    with contextlib.closing(work):
        for result in work:
            results[result.name] = result
            progress(len(results), len(clips), result.name)
    return [results[clip.name] for clip in clips]


def _cut(clip: Clip, out: Path, recipe: Recipe) -> CutResult:
    try:
        stored, fresh = cut_clip(clip, out, recipe, stopped=_stopped)
    except SourceError as error:
        return CutResult(name=clip.name, failure=str(error))
    return CutResult(name=clip.name, stored=stored, fresh=fresh)


def _in_processes(clips: Sequence[Clip], out: Path, recipe: Recipe, jobs: int) -> Generator[CutResult]:
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
            yield CutResult(name=clip.name, failure=f"{clip.path} kills the video decoder; take it out")


def _pooled(clips: Sequence[Clip], out: Path, recipe: Recipe, jobs: int) -> Generator[CutResult]:
    # Spawned, not forked: the decoders' threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    stop, started = context.Event(), context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(stop, started)) as pool:
        futures: list[Future[CutResult]] = [pool.submit(_cut, clip, out, recipe) for clip in clips]
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
    begin_worker()
    started.set()


def _stopped() -> bool:
    return _stop is not None and _stop.is_set()
