"""Composes one long video with known onsets from short labelled clips, to watch and to score.

    composed = compose_video(find_clips(folder, task).clips, Path("long.mp4"), seconds=600)

Most of the video is normal. Each incident is one clip or a few, with normal footage of varying length before and
after it, so that it becomes an event of its own. The ground truth is written beside the video, in the format of
`vigil score --timeline`.
"""

import csv
import logging
import random
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vigil.dataset.clips import LabelledClip
from vigil.errors import DatasetError, SourceError
from vigil.file_names import readable
from vigil.frames import RGB
from vigil.questions import ALARM, NORMAL, LabelName
from vigil.sources.container import USUAL_RATE
from vigil.sources.video_info import full_size_frames, letterbox, video_info
from vigil.sources.video_writer import VideoWriter, whole_file

log = logging.getLogger(__name__)

GAPS_S = (8.0, 30.0)
COLUMNS = ("video", "onset_s", "end_s", "label", "clip")

Progress = Callable[[float, float], None]
"""Called with the seconds written so far and the seconds wanted."""


@dataclass(frozen=True, slots=True)
class ComposedIncident:
    """One incident of a composed video, in seconds of that video, its label, and the clips it consists of."""

    onset_s: float
    end_s: float
    clips: tuple[str, ...]
    label: LabelName = ALARM


@dataclass(frozen=True, slots=True)
class ComposedVideo:
    """A composed video: its length, its incidents, and the clips that could not be read, with the reason."""

    video: Path
    truth: Path
    length_s: float
    incidents: tuple[ComposedIncident, ...]
    unreadable: dict[str, str]


def compose_video(
    clips: Sequence[LabelledClip],
    out: Path,
    *,
    seconds: float,
    seed: int = 0,
    size_wh: tuple[int, int] = (640, 360),
    fps: float = 25.0,
    incident_s: float = 0.0,
    normal_labels: Container[LabelName] = (NORMAL,),
    progress: Progress = lambda written, total: None,
) -> ComposedVideo:
    """Composes clips of both classes into `out` and writes the ground truth beside it, as `out` with the suffix .csv.

    Clips with another label than `normal_labels` are incidents. An incident is one clip, or as many of one label as
    reach `incident_s`. The same clips, seed and settings give the same frames. Clips repeat if there are not enough;
    unreadable ones are left out. Raises DatasetError if no clip of a class can be read, and SourceError if the video
    cannot be written.
    """
    composer = _Composer(clips, seed=seed, size_wh=size_wh, fps=fps, incident_s=incident_s, normal_labels=normal_labels)
    with VideoWriter(out, size_wh=size_wh, fps=fps, threads=0) as writer:
        for number, frame in enumerate(composer.frames(seconds)):
            writer.add(frame, number / fps)
            if number % round(fps) == 0:
                progress(number / fps, seconds)
    composed = ComposedVideo(
        out, out.with_suffix(".csv"), composer.written_s, tuple(composer.incidents), composer.unreadable
    )
    _write_truth(composed)
    progress(composer.written_s, seconds)
    return composed


def _write_truth(composed: ComposedVideo) -> None:
    rows = [
        (readable(composed.video.name), f"{one.onset_s:.3f}", f"{one.end_s:.3f}", one.label, " + ".join(one.clips))
        for one in composed.incidents
    ]
    with (
        whole_file(composed.truth) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        # A video without incidents gets a row too: it shows the scorer that the video was not forgotten.
        writer.writerows(rows or [(readable(composed.video.name), "", "", "", "")])


class _Composer:
    """Generates the frames of a composed video at a constant rate."""

    def __init__(
        self,
        clips: Sequence[LabelledClip],
        *,
        seed: int,
        size_wh: tuple[int, int],
        fps: float,
        incident_s: float,
        normal_labels: Container[LabelName],
    ) -> None:
        self.incidents: list[ComposedIncident] = []
        self.unreadable: dict[str, str] = {}
        self._size_wh = size_wh
        self._fps = fps
        self._incident_s = incident_s
        self._count = 0
        self._rng = random.Random(seed)
        self._alarms = _Deck([clip for clip in clips if clip.label not in normal_labels], self._rng)
        self._normals = _Deck([clip for clip in clips if clip.label in normal_labels], self._rng)

    @property
    def written_s(self) -> float:
        return self._count / self._fps

    def frames(self, seconds: float) -> Iterator[RGB]:
        """Alternates normal clips and incidents; the video ends with normal footage."""
        while self.written_s < seconds:
            yield from self._gap(min(self._rng.uniform(*GAPS_S), seconds - self.written_s))
            if self.written_s < seconds - GAPS_S[0]:
                yield from self._incident()

    def _gap(self, length_s: float) -> Iterator[RGB]:
        until_s = self.written_s + length_s
        while self.written_s < until_s:
            yield from self._clip(self._normals)

    def _incident(self) -> Iterator[RGB]:
        onset_s, clips = self.written_s, list[LabelledClip]()
        while not clips or self.written_s - onset_s < self._incident_s:
            yield from self._clip(self._alarms, label=clips[0].label if clips else None)
            clips.append(self._alarms.drawn[-1])
        names = tuple(clip.name for clip in clips)
        self.incidents.append(ComposedIncident(onset_s, self.written_s, names, clips[0].label))

    def _clip(self, deck: "_Deck", *, label: LabelName | None = None) -> Iterator[RGB]:
        """The frames of the deck's next readable clip, of a label if it is given."""
        while True:
            clip = deck.draw(label)
            try:
                frames = resample_frames(clip.path, size_wh=self._size_wh, fps=self._fps)
                first = next(frames, None)
            except SourceError as error:
                first, reason = None, str(error)
            else:
                reason = "it has no frames"
            if first is not None:
                for frame in chain([first], frames):
                    self._count += 1
                    yield frame
                return
            log.warning("left out: %s", reason)
            self.unreadable[clip.name] = reason
            deck.discard(clip)


class _Deck:
    """Draws clips in random order; reshuffles once all have been drawn."""

    def __init__(self, clips: Sequence[LabelledClip], rng: random.Random) -> None:
        self.drawn: list[LabelledClip] = []
        self._clips = list(clips)
        self._rng = rng
        self._left: list[LabelledClip] = []

    def draw(self, label: LabelName | None = None) -> LabelledClip:
        """The next clip, of a label if it is given; raises DatasetError if no readable clip is left."""
        if not any(_is_of(clip, label) for clip in self._clips):
            raise DatasetError("not one clip of a class can be read; both classes are needed to join a video")
        if not any(_is_of(clip, label) for clip in self._left):
            self._left = self._rng.sample(self._clips, len(self._clips))
        at = max(number for number, clip in enumerate(self._left) if _is_of(clip, label))
        self.drawn.append(self._left.pop(at))
        return self.drawn[-1]

    def discard(self, clip: LabelledClip) -> None:
        """Never draws this clip again."""
        self._clips.remove(clip)


def _is_of(clip: LabelledClip, label: LabelName | None) -> bool:
    return label is None or clip.label == label


def resample_frames(path: Path, *, size_wh: tuple[int, int], fps: float) -> Iterator[RGB]:
    """The frames of a video at a constant rate and size: at each instant the latest frame due by then."""
    rate = video_info(path).fps or USUAL_RATE
    number, current, until_s = 0, None, 0.0
    for frame, time_s in full_size_frames(path):
        while current is not None and number / fps < time_s - 1e-6:
            yield current
            number += 1
        current, until_s = letterbox(frame, size_wh), time_s + 1 / rate
    while current is not None and number / fps < until_s - 1e-6:
        yield current
        number += 1
