"""One long video with known onsets, joined from short labelled clips: something to watch and to score.

    joined = join(find_clips(folder, task).clips, Path("long.mp4"), seconds=600)

Most of it is normal; incidents lie in between, one clip or a few each, with normal footage of varied
length before and after, so that each is an event of its own. What is where is written beside the video, as
`vigil score --timeline` reads it.
"""

import csv
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vigil.dataset.clips import LabelledClip
from vigil.errors import DatasetError, SourceError
from vigil.file_names import readable
from vigil.frames import RGB
from vigil.sources.container import USUAL_RATE
from vigil.sources.video_info import full_size_frames, letterbox, video_info
from vigil.sources.video_writer import VideoWriter, whole_file

log = logging.getLogger(__name__)

GAPS_S = (8.0, 30.0)
COLUMNS = ("video", "onset_s", "end_s", "label", "clip")

Progress = Callable[[float, float], None]
"""Told the seconds that are written, and how many are wanted."""


@dataclass(frozen=True, slots=True)
class ComposedIncident:
    """One incident of a joined video, in its seconds, and the clips that it is made of."""

    onset_s: float
    end_s: float
    clips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComposedVideo:
    """A joined video: its length, its incidents, and the clips that could not be read, with the reason."""

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
    progress: Progress = lambda written, wanted: None,
) -> ComposedVideo:
    """Joins clips of both classes into `out` and writes the truth beside it, `out` with the ending .csv.

    An incident is one clip, or as many as make `incident_s`. The same clips, seed and settings give the same pictures.
    Clips come again when there are not enough; those that cannot be read are left out. Raises DatasetError and
    SourceError.
    """
    joiner = _Joiner(clips, seed=seed, size_wh=size_wh, fps=fps, incident_s=incident_s)
    with VideoWriter(out, size_wh=size_wh, fps=fps, threads=0) as movie:
        for number, picture in enumerate(joiner.pictures(seconds)):
            movie.add(picture, number / fps)
            if number % round(fps) == 0:
                progress(number / fps, seconds)
    joined = ComposedVideo(out, out.with_suffix(".csv"), joiner.written_s, tuple(joiner.incidents), joiner.unreadable)
    _write_truth(joined)
    progress(joiner.written_s, seconds)
    return joined


def _write_truth(joined: ComposedVideo) -> None:
    rows = [
        (readable(joined.video.name), f"{one.onset_s:.3f}", f"{one.end_s:.3f}", "alarm", " + ".join(one.clips))
        for one in joined.incidents
    ]
    with (
        whole_file(joined.truth) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        # A video without incidents is named too: whoever scores it must know that this is no oversight.
        writer.writerows(rows or [(readable(joined.video.name), "", "", "", "")])


class _Joiner:
    """The pictures of a joined video one after the other, at an even rate."""

    def __init__(
        self, clips: Sequence[LabelledClip], *, seed: int, size_wh: tuple[int, int], fps: float, incident_s: float
    ) -> None:
        self.incidents: list[ComposedIncident] = []
        self.unreadable: dict[str, str] = {}
        self._size_wh = size_wh
        self._fps = fps
        self._incident_s = incident_s
        self._count = 0
        self._rng = random.Random(seed)
        self._alarms = _Deck([clip for clip in clips if clip.label == "alarm"], self._rng)
        self._normals = _Deck([clip for clip in clips if clip.label == "normal"], self._rng)

    @property
    def written_s(self) -> float:
        return self._count / self._fps

    def pictures(self, seconds: float) -> Iterator[RGB]:
        """Normal clips, then an incident, and so on; the last seconds are normal ones."""
        while self.written_s < seconds:
            yield from self._gap(min(self._rng.uniform(*GAPS_S), seconds - self.written_s))
            if self.written_s < seconds - GAPS_S[0]:
                yield from self._incident()

    def _gap(self, length_s: float) -> Iterator[RGB]:
        until_s = self.written_s + length_s
        while self.written_s < until_s:
            yield from self._clip(self._normals)

    def _incident(self) -> Iterator[RGB]:
        onset_s, clips = self.written_s, list[str]()
        while not clips or self.written_s - onset_s < self._incident_s:
            yield from self._clip(self._alarms)
            clips.append(self._alarms.last)
        self.incidents.append(ComposedIncident(onset_s, self.written_s, tuple(clips)))

    def _clip(self, deck: "_Deck") -> Iterator[RGB]:
        """The pictures of the deck's next readable clip."""
        while True:
            clip = deck.draw()
            try:
                pictures = resample_frames(clip.path, size_wh=self._size_wh, fps=self._fps)
                first = next(pictures, None)
            except SourceError as error:
                first, reason = None, str(error)
            else:
                reason = "it gives no picture at all"
            if first is not None:
                for picture in chain([first], pictures):
                    self._count += 1
                    yield picture
                return
            log.warning("left out: %s", reason)
            self.unreadable[clip.name] = reason
            deck.discard(clip)


class _Deck:
    """Clips in random order, shuffled anew when all were drawn."""

    def __init__(self, clips: Sequence[LabelledClip], rng: random.Random) -> None:
        self.last = ""
        self._clips = list(clips)
        self._rng = rng
        self._left: list[LabelledClip] = []

    def draw(self) -> LabelledClip:
        """The next clip; raises DatasetError when there is none that can be read."""
        if not self._clips:
            raise DatasetError("not one clip of a class can be read; both classes are needed to join a video")
        if not self._left:
            self._left = self._rng.sample(self._clips, len(self._clips))
        clip = self._left.pop()
        self.last = clip.name
        return clip

    def discard(self, clip: LabelledClip) -> None:
        """Never draws this clip again."""
        self._clips.remove(clip)


def resample_frames(path: Path, *, size_wh: tuple[int, int], fps: float) -> Iterator[RGB]:
    """A video's pictures at an even rate and one size: at each instant the last one that was shown by then."""
    rate = video_info(path).fps or USUAL_RATE
    number, held, until_s = 0, None, 0.0
    for picture, time_s in full_size_frames(path):
        while held is not None and number / fps < time_s - 1e-6:
            yield held
            number += 1
        held, until_s = letterbox(picture, size_wh), time_s + 1 / rate
    while held is not None and number / fps < until_s - 1e-6:
        yield held
        number += 1
