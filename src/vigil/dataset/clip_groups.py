"""Finds the recording that each clip of a build comes from: from a CSV if there is one, else by name and appearance."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vigil.dataset.clips import LabelledClip
from vigil.dataset.frame_files import StoredClip
from vigil.dataset.groups import (
    SOURCES_NAME,
    group_by_appearance,
    group_by_csv,
    largest_group_share,
    merge_identical,
    merge_similar,
)
from vigil.errors import UsageError
from vigil.questions import Question

LARGE_GROUP_SHARE = 0.4
GUESSED = (
    f"no {SOURCES_NAME}: recordings were guessed from names, pictures and formats; if you know them, write them down "
    "(clip,label,source) and give the file as --sources, or the score may be too good"
)


def read_groups(clips: Sequence[LabelledClip], path: Path, task: Question, *, is_required: bool) -> dict[str, str]:
    """The groups given in a CSV, by clip name; empty if there is no CSV, which is a UsageError if it `is_required`."""
    if is_required and not path.is_file():
        raise UsageError(f"--sources: there is no file {path}")
    return group_by_csv(clips, path, task) if path.is_file() else {}


def find_groups(
    clips: Sequence[LabelledClip], stored: Mapping[str, StoredClip], csv_groups: Mapping[str, str], path: Path
) -> tuple[dict[str, str], str, list[str]]:
    """The group of each clip, how the groups were found, and notes for the user; `path` is that of the CSV."""
    named = {clip.name: csv_groups[clip.name] for clip in clips if clip.name in csv_groups}
    rest = [clip for clip in clips if clip.name not in named]
    groups = group_clips(clips, stored, named)
    if not rest:
        return groups, path.name, []
    notes = [] if named else [GUESSED]
    if named:
        notes.append(
            f"{len(rest)} clips are not in {path.name} ({rest[0].name}, ...): grouped by name and looks, with those too"
        )
    if largest_group_share(groups) > LARGE_GROUP_SHARE:
        notes.append(
            f"one group holds {largest_group_share(groups):.0%} of all clips: they look alike, or share a name; a CSV "
            "(clip,label,source) given as --sources says better which recordings there are"
        )
    return groups, f"{path.name}, then name and looks" if named else "name and looks", notes


def group_clips(
    clips: Sequence[LabelledClip], stored: Mapping[str, StoredClip], named: Mapping[str, str]
) -> dict[str, str]:
    """The group of each clip: from the CSV, else by name and appearance, compared with CSV clips too."""
    rest = [clip for clip in clips if clip.name not in named]
    prints = {clip.name: stored[clip.name].fingerprint for clip in clips}
    by_appearance = group_by_appearance(rest, prints, {clip.name: stored[clip.name].format for clip in rest})
    known = {clip.name: named[clip.name] for clip in clips if clip.name in named}
    groups = merge_identical(known | by_appearance, {clip.name: stored[clip.name].video_digest for clip in clips})
    return merge_similar(groups, prints, known=known) if known and rest else groups
