"""Detects data leakage, which makes a score too good: clips in two splits, and traits that reveal the label.

Also defines `Finding`, the result of every check of a dataset.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from vigil.dataset.clips import Split
from vigil.dataset.examples import SPLITS, TrainingExample
from vigil.dataset.frame_files import HDR, INTERLACED, FrameFile, clip_fingerprints, read_stored
from vigil.dataset.similar_clips import near_clips, with_frames
from vigil.dataset.workers import CombinedProgress

FindingLevel: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in a dataset: an error makes training or scores wrong, a warning should be looked at.

    `where` names the places; `more` counts those left out because there are too many.
    """

    level: FindingLevel
    what: str
    where: tuple[str, ...] = ()
    more: int = 0


def finding_for(level: FindingLevel, what: str, where: Sequence[str]) -> list[Finding]:
    """One finding for all places, with their number before `what`; an empty list if there are none."""
    return [Finding(level, f"{len(where)} {what}", tuple(where))] if where else []


Splits: TypeAlias = Mapping[Split, Sequence[TrainingExample]]
Pictures: TypeAlias = Mapping[str, FrameFile]

MOST_PLACES = 10_000
"""Limit on listed pairs of similar clips: one camera may have millions of them."""

TELLING_MARGIN = 0.15
TELLING_MIN_CLIPS = 40


def find_leaks(folder: Path, splits: Splits, pictures: Pictures, stages: CombinedProgress) -> Iterator[Finding]:
    """Finds clips, frames and recordings in more than one split, and frames with both labels."""
    yield from finding_for("error", "clips are in more than one split", _shared(splits, lambda example: example.clip))
    contents = {frames: _content(frames, pictures) for frames in {e.frames for each in splits.values() for e in each}}
    twins, contradictions = _same_pictures(splits, contents)
    yield from finding_for("error", "windows with identical frames are in more than one split", twins)
    yield from finding_for("error", "windows with identical frames have both labels", contradictions)
    shared = _shared(splits, lambda example: example.group)
    yield from finding_for(
        "warning", "groups (recordings) are in more than one split: the score will be too good", shared
    )
    yield from _alike(folder, splits, pictures, stages)


def _shared(splits: Splits, trait: Callable[[TrainingExample], str]) -> list[str]:
    sides: dict[str, set[Split]] = defaultdict(set)
    for split in SPLITS:
        for example in splits[split]:
            sides[trait(example)].add(split)
    return [f"{name} ({' and '.join(sorted(found))})" for name, found in sides.items() if len(found) > 1]


def _content(frames: Sequence[str], pictures: Pictures) -> tuple[str, ...] | None:
    """The digests of a window's frames; None if some are unreadable."""
    digests = tuple(pictures[frame].digest for frame in frames)
    return digests if all(digests) else None


def _same_pictures(
    splits: Splits, contents: Mapping[tuple[str, ...], tuple[str, ...] | None]
) -> tuple[list[str], list[str]]:
    first: dict[tuple[str, ...], tuple[Split, TrainingExample]] = {}
    twins, contradictions = [], []
    for split in SPLITS:
        for example in splits[split]:
            content = contents[example.frames]
            if content is None:
                continue
            other_split, other = first.setdefault(content, (split, example))
            pair = f"{other.clip} ({other_split}) and {example.clip} ({split})"
            if other.label != example.label:
                contradictions.append(pair)
            elif other_split != split and other.clip != example.clip:
                twins.append(pair)
    return twins, contradictions


def _alike(folder: Path, splits: Splits, pictures: Pictures, stages: CombinedProgress) -> Iterator[Finding]:
    side: dict[str, Split] = {}
    group: dict[str, str] = {}
    frames: dict[str, list[str]] = defaultdict(list)
    for split in SPLITS:
        for example in splits[split]:
            side[example.clip], group[example.clip] = split, example.group
            if example.kind == "window":
                frames[example.clip] += [frame for frame in example.frames if not pictures[frame].problem]
    prints = clip_fingerprints(folder, frames, progress=stages.next())
    names = with_frames(prints)
    groups = np.unique([group[name] for name in names], return_inverse=True)[1]
    sides = [side[name] for name in names]
    count, where = 0, list[str]()
    for place, near in near_clips([prints[name] for name in names], sides=sides, progress=stages.next()):
        others = near[groups[near] != groups[place]]
        count += len(others)
        named = (names[other] for other in others[: MOST_PLACES - len(where)])
        where += [f"{names[place]} ({sides[place]}) and {other} ({side[other]})" for other in named]
    if count:
        what = "pairs of clips in different splits look alike: are they of one recording?"
        yield Finding("warning", f"{count} {what}", tuple(where), more=count - len(where))


def label_leaking_traits(folder: Path, splits: Splits, pictures: Pictures) -> Iterator[Finding]:
    """Finds traits that reveal the label without the content of the frames: a model might learn them instead."""
    clips = {example.clip: example for example in splits["train"] if example.kind == "window"}
    if len(clips) < TELLING_MIN_CLIPS:
        return
    stored = {clip: _stored_traits(folder, example) for clip, example in clips.items()}
    traits: dict[str, Callable[[TrainingExample], object]] = {
        "number of frames": lambda example: len(example.frames),
        "size of the frames": lambda example: pictures[example.frames[0]].size_wh,
        "dynamic range of the videos (HDR or not)": lambda example: HDR in stored[example.clip],
        "scanning of the videos (interlaced or not)": lambda example: INTERLACED in stored[example.clip],
    }
    majority = max(Counter(example.label for example in clips.values()).values()) / len(clips)
    for name, trait in traits.items():
        right = _guessed(list(clips.values()), trait)
        if right > majority + TELLING_MARGIN:
            yield Finding(
                "warning",
                f"the {name} alone reveals the label for {right:.0%} of the training clips ({majority:.0%} by always "
                "guessing the larger class): the model may learn that instead",
            )


def _stored_traits(folder: Path, example: TrainingExample) -> tuple[str, ...]:
    stored = read_stored((folder / example.frames[0]).parent)
    return stored.traits if stored else ()


def _guessed(examples: Sequence[TrainingExample], trait: Callable[[TrainingExample], object]) -> float:
    """The share of clips whose label is the most frequent one among the other clips with the same trait."""
    by_trait: dict[object, Counter[str]] = defaultdict(Counter)
    for example in examples:
        by_trait[trait(example)][example.label] += 1
    right = 0
    for example in examples:
        others = by_trait[trait(example)].copy()
        others[example.label] -= 1
        right += bool(others.total()) and others.most_common(1)[0][0] == example.label
    return right / len(examples)
