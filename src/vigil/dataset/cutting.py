"""Cuts one clip into windows on disk, unless that was done before.

A clip is cut again only when its bytes, the sampling, the reader or the policy for short clips have changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vigil.dataset.clips import Clip
from vigil.dataset.disk import explained
from vigil.dataset.ownership import refuse_foreign_frames
from vigil.dataset.short import ShortPolicy, StoredKind, crop, stretched_fps
from vigil.dataset.stored import HDR, INTERLACED, FrameWriter, StoredClip, is_complete, read_stored
from vigil.errors import SourceError
from vigil.frames import Frame, Sampling
from vigil.manifest import MANIFEST_NAME
from vigil.sources.container import check_file, frame_rate, open_container
from vigil.sources.fields import is_interlaced
from vigil.sources.file import Reader, VideoFile, open_video, read
from vigil.sources.tone import is_high_range
from vigil.sources.tracks import film_stream
from vigil.windows import Window, cut

CUTTER_VERSION = 2
"""Raised when the same video and settings give other frames than before."""


@dataclass(slots=True)
class Remarks:
    """What was wrong with a video, and what should be known of a sound one: in order, each once."""

    problems: dict[str, None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, video: VideoFile) -> None:
        """Takes in what a video that was read says of itself."""
        self.problems.update(dict.fromkeys(video.problems))
        self.notes.update(dict.fromkeys(video.notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides what is cut from a video."""

    sampling: Sampling
    short: ShortPolicy = "as-is"
    reader: Reader = "pyav"

    def digest(self, video_digest: str) -> str:
        """Names the frames that this recipe gives for a video with these bytes."""
        recipe = asdict(self) | {"sampling": self.sampling.as_json()}
        told = json.dumps([CUTTER_VERSION, video_digest, recipe], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def frames_folder(out: Path, clip: Clip) -> Path:
    """Where the frames of a clip live."""
    return out / "frames" / clip.label / clip.slug


def never() -> bool:
    """The clip is cut to its end."""
    return False


def cut_clip(clip: Clip, out: Path, recipe: Recipe, *, stopped: Callable[[], bool] = never) -> tuple[StoredClip, bool]:
    """The clip's windows on disk, and whether they had to be cut now.

    Raises SourceError when the video gives no pictures or `stopped` says so in the middle of it,
    DatasetError when the frames cannot be written.
    """
    check_file(clip.path)
    video_digest = digest_of_file(clip.path)
    digest = recipe.digest(video_digest)
    folder = frames_folder(out, clip)
    stored = read_stored(folder)
    if stored is not None and stored.digest == digest and is_complete(folder, stored):
        return stored, False
    remarks = Remarks()
    refuse_foreign_frames(folder)
    with explained(folder), FrameWriter(folder) as writer:
        for kind, window in windows_of(clip.path, recipe, remarks):
            if stopped():
                raise SourceError(f"{clip.path} was not finished")
            writer.put(window, kind)
        format_, traits = format_of(clip.path)
        if folder.exists():
            # Examples of a finished dataset name these frames: from here on it is none, until the build is through.
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


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes; raises SourceError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def format_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """A video's own size and rate, as in `1280x720@29.97`, and its traits; empty when only another decoder opens it."""
    try:
        with open_container(path) as container:
            stream = film_stream(container, path)
            told = ((HDR, is_high_range(stream.codec_context)), (INTERLACED, is_interlaced(stream.codec_context)))
            traits = tuple(trait for trait, is_so in told if is_so)
            return f"{stream.width}x{stream.height}@{frame_rate(stream):.2f}", traits
    except SourceError:
        return "", ()


def windows_of(path: Path, recipe: Recipe, remarks: Remarks) -> Iterator[tuple[StoredKind, Window]]:
    """The windows of a clip just as live ones are cut, and what the policy for short clips adds to them."""
    sampling = recipe.sampling
    stretchable: Window | None = None
    for window in cut(_frames(path, sampling, recipe.reader, remarks), sampling):
        yield "window", window
        stretchable = window if window.index == 0 else None
        shorter = crop(window, sampling) if recipe.short in ("crop", "both") else None
        if shorter is not None:
            yield "crop", shorter
    fps = stretched_fps(stretchable, sampling) if stretchable and recipe.short in ("stretch", "both") else None
    if fps is not None:
        denser = replace(sampling, fps=fps)
        windows = cut(_frames(path, denser, recipe.reader, remarks), denser)
        yield "stretch", next(windows)


def _frames(path: Path, sampling: Sampling, reader: Reader, remarks: Remarks) -> Iterator[Frame]:
    if reader != "pyav":
        yield from read(path, sampling, reader=reader)
        return
    with open_video(path, sampling) as video:
        yield from video.frames()
        remarks.add(video)
