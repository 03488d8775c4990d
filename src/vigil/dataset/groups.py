"""Groups clips of one recording: they look alike, so a group must never be split between train and test.

The best source is a CSV (`clip,label,source`). Without one, clips are grouped by name (`b1HoOg_0.avi`,
`b1HoOg_1.avi`), by appearance (`similar_clips`), or if they are numbered consecutively and have the same size and
rate, provided that sizes and rates vary enough in the set to be informative.
Measured on 200 real clips of 22 sources: appearance alone finds 29 % of the pairs of one source (99 % of its pairs
are right), because one recording shows many scenes; with numbering it is 87 % (58 % are right). A group that is too
large costs little; a leak makes the score too good. A CSV is better than both.
"""

import csv
import io
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from vigil.csv_text import cells, csv_text, separator_of
from vigil.dataset.clips import LabelledClip
from vigil.dataset.similar_clips import Fingerprint, similar_clips
from vigil.errors import DatasetError
from vigil.questions import Question

SOURCES_NAME = "sources.csv"
NEEDED = ("clip", "source")
MAX_PREFIX_SHARE = 0.25
"""A name prefix shared by more of the clips than this names the class or the set, not the recording."""

MAX_FORMAT_SHARE = 0.3
"""If more of the clips than this have the same size and rate, the set was made uniform, and formats are ignored."""


class UnionFind:
    """Disjoint sets of names that can be merged."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def root(self, name: str) -> str:
        """The representative of the set of `name`."""
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        """Merges two sets; the smaller name represents the result, so the order of merges does not matter."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def group_by_csv(clips: Sequence[LabelledClip], path: Path, task: Question) -> dict[str, str]:
    """The source of each clip that the CSV names, by clip name; other clips are left out.

    A row names a clip by its path, file name or stem, and its class if stems repeat.
    Raises DatasetError if the file cannot be read, lacks a column or names none of the clips.
    """
    sources = _read_sources(path, task)
    groups = {}
    for clip in clips:
        found = [sources[key] for key in _keys(clip) if key in sources]
        if found:
            groups[clip.name] = found[0]
    if not groups:
        raise DatasetError(f"{path} names none of the {len(clips)} clips; a row looks like: fi001,fight,s03")
    return groups


def _read_sources(path: Path, task: Question) -> dict[tuple[str, str], str]:
    rows = _rows(path)
    if not rows or not set(NEEDED) <= set(rows[0]):
        raise DatasetError(
            f"{path} needs the columns clip,label,source (label may be left out), separated by commas or semicolons, "
            "and at least one row"
        )
    sources: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows, start=2):
        clip, source = (row["clip"] or "").strip(), (row["source"] or "").strip()
        if not clip or not source:
            raise DatasetError(f"{path}, line {number}: clip and source must both be given")
        label = task.label_of((row.get("label") or "").strip()) or ""
        sources[label, clip] = sources[label, clip.replace("\\", "/")] = source
    return sources


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        text = csv_text(path.read_bytes())
        head = next(iter(text.splitlines()), "")
        mark = separator_of(head, NEEDED)
        reader = csv.DictReader(io.StringIO(text, newline=""), fieldnames=cells(head, mark), delimiter=mark)
        return list(reader)[1:]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise DatasetError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error


def _keys(clip: LabelledClip) -> list[tuple[str, str]]:
    name = PurePosixPath(clip.name)
    names = [clip.name, name.with_suffix("").as_posix(), name.name, name.stem]
    return [(label, each) for each in names for label in (clip.label, "")]


def group_by_appearance(
    clips: Sequence[LabelledClip], fingerprints: Mapping[str, Fingerprint], formats: Mapping[str, str]
) -> dict[str, str]:
    """The group of each clip, from names, appearance and video formats; a group is named after its first clip."""
    joined = UnionFind(clip.name for clip in clips)
    for names in _prefix_groups(clips):
        for name in names[1:]:
            joined.join(names[0], name)
    for one, other in similar_clips(
        {clip.name: fingerprints[clip.name] for clip in clips if clip.name in fingerprints}
    ):
        joined.join(one, other)
    for one, other in _neighbours(clips, formats):
        joined.join(one, other)
    return {clip.name: joined.root(clip.name) for clip in clips}


def _neighbours(clips: Sequence[LabelledClip], formats: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs of consecutively numbered clips of the same format, if formats vary enough in the set."""
    counts = Counter(formats.values())
    if not counts or max(counts.values()) > MAX_FORMAT_SHARE * len(clips):
        return
    ordered = sorted(
        (_unnumbered(clip.name), [int(n) for n in re.findall(r"\d+", clip.name)], clip.name) for clip in clips
    )
    for (one_kind, _, one), (other_kind, _, other) in itertools.pairwise(ordered):
        if one_kind == other_kind and formats.get(one) == formats.get(other) != "":
            yield one, other


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _prefix_groups(clips: Sequence[LabelledClip]) -> list[list[str]]:
    """Names that differ only in their last number, unless so many do that the number merely counts the whole set."""
    members: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        prefix = recording_prefix(PurePosixPath(clip.name).stem)
        if prefix:
            members[prefix].append(clip.name)
    return [names for names in members.values() if 1 < len(names) <= MAX_PREFIX_SHARE * len(clips)]


def recording_prefix(stem: str) -> str | None:
    """The part before the last number of a clip's name: `b1HoOg_0` -> `b1HoOg`; None if there is no separator."""
    match = re.fullmatch(
        r"(.*[^\W_].*?)[ _.-]+(?:part|clip|seg|scene|p|c|s)?[ _.-]?\(?\d+\)?", stem, flags=re.IGNORECASE
    )
    return match[1].casefold() if match else None


def merge_identical(groups: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, str]:
    """The groups by clip name, merged if they hold files of the same digest."""
    joined = UnionFind(groups.values())
    first: dict[str, str] = {}
    for name, digest in digests.items():
        joined.join(groups[first.setdefault(digest, name)], groups[name])
    return {name: joined.root(group) for name, group in groups.items()}


def merge_similar(
    groups: Mapping[str, str], fingerprints: Mapping[str, Fingerprint], *, known: Container[str]
) -> dict[str, str]:
    """The groups by clip name, merged if clips look alike, unless the recordings of both are known (in `known`)."""
    joined = UnionFind(groups.values())
    for one, other in similar_clips({name: fingerprints[name] for name in groups}):
        if one not in known or other not in known:
            joined.join(groups[one], groups[other])
    return {name: joined.root(group) for name, group in groups.items()}


def largest_group_share(groups: Mapping[str, str]) -> float:
    """The share of all clips that are in the largest group."""
    counts = Counter(groups.values())
    return max(counts.values()) / len(groups) if groups else 0.0
